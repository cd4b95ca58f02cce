"""The verb `sample`: a random contact sheet of a source, a class or a finding."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from affinage.datasets.decisions import EXCLUDED
from affinage.datasets.rules import meets, parse_rule
from affinage.datasets.selection import by_finding, by_rule
from affinage.datasets.verifying import located
from affinage.errors import DataError, ImageError
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.imaging.hashing import thumbnail
from affinage.records.manifest import Manifest
from affinage.records.report import Gallery, Picture, Report, Section, Table
from affinage.reporting.html import to_html
from affinage.reporting.words import count, label
from affinage.store.files import write_text
from affinage.workflows.deciding import Desk, open_desk
from affinage.workflows.places import place
from affinage.workflows.reporter import Reporter, Silent

_SIZE = 240
"""Longest side of a picture on the sheet, px."""
_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledImage:
    """One image of a sample.

    Attributes:
        image: Its id.
        path: Relative to its source.
        label: Its class as it counts now; None where it has none.
        status: `kept` or `excluded`.
        problem: Why there is no picture of it; empty where there is one.
    """

    image: str
    path: str
    label: str | None
    status: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Images drawn at random, and the sheet that shows them.

    Attributes:
        data: Name of the data set's folder.
        where: The rule with the columns' own names.
        finding: Code of the finding they were drawn from; None without one.
        seed: Of the drawing.
        among: How many images they were drawn from.
        classes: How many of these each class has, the largest first.
        sheet: Where the contact sheet is.
        images: The sample, in the order of the draw.
    """

    data: str
    where: tuple[str, ...]
    finding: str | None
    seed: int
    among: int
    classes: dict[str, int]
    sheet: str
    images: tuple[SampledImage, ...]


def sample(
    data: str | Path,
    *,
    where: str | Sequence[str] = (),
    finding: str | None = None,
    n: int = 24,
    seed: int = 0,
    excluded: bool = False,
    into: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Sample:
    """Draw images of a data set at random, and write them on one self-contained page.

    Each image has the same chance, and the same seed draws the same images in any order of rows; a
    larger `n` adds to a smaller one.

    Args:
        data: The data set's folder.
        where: A rule as for `exclude`; all images by default.
        finding: Code of a finding of the last audit, instead of a rule.
        n: How many images at most, 1 to 1,000.
        seed: Another one draws others.
        excluded: Draw from the images that a decision left out, not from the kept ones.
        into: File of the page; `samples/NAME.html` in the data set's folder by default.
        reporter: Told of progress.

    Raises:
        DataError: If there is no such data set, what is named is unknown, or nothing is to be drawn.
    """
    if not 1 <= n <= _MOST:
        raise DataError(f"{n} images cannot be drawn.", remedy=f"Ask for 1 to {_MOST:,}: -n 24")
    desk = open_desk(data)
    rule = (where,) if isinstance(where, str) else tuple(where)
    manifest = located(desk.manifest, desk.dataset.path)
    rows, rule = _pool(desk, manifest, rule, finding, excluded=excluded)
    drawn = _drawn(rows, n, seed)
    sheet = _place(desk, manifest, into, _name(rule, finding, n, seed, excluded=excluded))
    pictures, images = _pictures(manifest, drawn, reporter or Silent())
    counts = rows.group_by("label").len().sort("len", "label", descending=[True, False])
    made = Sample(
        data=desk.dataset.name,
        where=rule,
        finding=finding,
        seed=seed,
        among=rows.height,
        classes={name: size for name, size in counts.iter_rows() if name is not None},
        sheet=str(sheet),
        images=tuple(images),
    )
    write_text(sheet, to_html(_report(made, pictures)))
    return made


def _pool(
    desk: Desk, manifest: Manifest, rule: tuple[str, ...], finding: str | None, *, excluded: bool
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return one row for each image to draw from, sorted by image, and the rule as the columns say it.

    Raises:
        DataError: If there is none, or a rule and a finding were given.
    """
    if rule and finding:
        raise DataError("A rule and a finding were given.", remedy="Give --where or --finding.")
    rows = manifest.table.filter(pl.col("image").is_not_null())
    out = pl.col("reason").str.starts_with(EXCLUDED).fill_null(value=False)
    wanted = out if excluded else pl.col("status") == "kept"
    if rule:
        rule = by_rule(manifest, parse_rule(rule)).where
        rows = rows.filter(meets(rows, parse_rule(rule)))
    elif finding:
        named = by_finding(manifest, finding, desk.dataset.load_findings()).images
        rows = rows.filter(pl.col("image").is_in(list(named)))
    chosen = rows.filter(wanted).sort("source", "path").unique("image", maintain_order=True)
    if chosen.is_empty():
        raise DataError(
            f"None of the {rows.height:,} images is {'left out' if excluded else 'kept'}.",
            remedy="Leave --excluded away."
            if excluded
            else "Add --excluded to see what was left out.",
        )
    return chosen.sort("image"), rule


def _drawn(rows: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Return the rows whose images come first by a hash of seed and id."""
    order = [hashlib.sha256(f"{seed} {image}".encode()).hexdigest() for image in rows["image"]]
    return rows.with_columns(pl.Series("_order", order, pl.String)).sort("_order").head(n)


def _place(desk: Desk, manifest: Manifest, into: str | Path | None, name: str) -> Path:
    if into is None:
        return desk.dataset.samples / f"{name}.html"
    page = Path(into)
    page = page / f"{name}.html" if page.is_dir() else page
    for root in manifest.sources.values():
        own = desk.dataset.path.resolve()
        if page.resolve().is_relative_to(root) and not own.is_relative_to(root):
            raise DataError(
                f"'{page}' lies in the images' own folder, which is only read.",
                remedy="Choose a place outside of it with --into, or none.",
            )
    return page


def _name(rule: tuple[str, ...], finding: str | None, n: int, seed: int, *, excluded: bool) -> str:
    asked = " ".join([*rule, *([finding] if finding else []), *(["excluded"] if excluded else [])])
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", asked).strip("-.")[:60] or "all"
    digest = hashlib.sha256(asked.encode()).hexdigest()[:6]
    return f"{plain}-{digest}-{n}-{seed}"


def _pictures(
    manifest: Manifest, rows: pl.DataFrame, reporter: Reporter
) -> tuple[list[Picture], list[SampledImage]]:
    pictures: list[Picture] = []
    images: list[SampledImage] = []
    columns = rows.select("image", "source", "path", "label", "status")
    for done, (image, source, path, name, status) in enumerate(columns.iter_rows(), start=1):
        problem = ""
        try:
            data = read(Item(image=image, path=place(manifest, source, path)))
            pixels = decode(data).pixels
        except ImageError as error:
            problem = error.problem.replace(manifest.sources[source] + "/", "")
        else:
            pictures.append(_picture(thumbnail(pixels, _SIZE), name, path, image))
        images.append(
            SampledImage(image=image, path=path, label=name, status=status, problem=problem)
        )
        reporter.phase("drawing the sheet", done, rows.height)
    return pictures, images


def _picture(data: bytes, name: str | None, path: str, image: str) -> Picture:
    said = label(name) if name is not None else "no label"
    return Picture(
        data=data,
        media_type="image/jpeg",
        caption=f"{said}\n{label(path)}\n{image[:12]}",
        alternative=f"Image of {said}",
    )


def _report(made: Sample, pictures: list[Picture]) -> Report:
    asked = " and ".join(made.where) or (
        f"finding {made.finding}" if made.finding else "all images"
    )
    missing = [one for one in made.images if one.problem]
    gallery = Gallery(
        pictures=tuple(pictures), caption="In the order of the draw; the id is beneath."
    )
    classes = Table(
        columns=("Class", "Images"),
        rows=tuple((label(name), count(size)) for name, size in made.classes.items()),
        caption=f"What they were drawn from: {count(made.among, 'image')}.",
        numeric=(1,),
    )
    lost = Table(
        columns=("Image", "Why there is no picture"),
        rows=tuple((label(one.path), label(one.problem)) for one in missing),
    )
    return Report(
        title=f"{label(made.data)}: {label(asked)}",
        verdict=f"{count(len(made.images), 'image')} drawn at random from {count(made.among)}"
        f" (seed {made.seed}).",
        tone="neutral",
        sections=(
            Section(title="The sample", blocks=(gallery,)),
            Section(title="Classes", blocks=(classes,)),
            *([Section(title="Not shown", blocks=(lost,))] if missing else []),
        ),
    )
