"""Selection: from what the owner names (a rule, a finding, images) to ids of images."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from affinage.datasets.places import escape
from affinage.datasets.rules import Condition, check_rule, meets, nearest, parse_rule
from affinage.errors import DataError
from affinage.imaging.hashing import content_id
from affinage.records.finding import Finding
from affinage.records.linked import groups_of
from affinage.records.manifest import Manifest

_ID_START = re.compile(r"[0-9a-f]{8,64}")
_ONE_OF_EACH = frozenset({"near-duplicates", "leaks-across-parts"})
"""Findings on copies under one label: leaving all of them out would lose what they show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The images that were named.

    Attributes:
        images: Their ids, sorted; of a rule those that lie nowhere but where it holds.
        where: The rule with the columns' own names; empty where none was given.
        messages: Sentences on what of the named is not in `images`, and why.
    """

    images: tuple[str, ...]
    where: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


def select(
    manifest: Manifest,
    *,
    where: Sequence[str] = (),
    finding: str | None = None,
    images: Sequence[str] = (),
    findings: Sequence[Finding] = (),
    spare: bool = False,
) -> Selection:
    """Return the images that were named in one of three ways.

    Args:
        manifest: With the decisions so far applied.
        where: Conditions such as `domain=example.org`; see `rules.meets`.
        finding: Code of a finding of the last audit.
        images: Ids, the first 8 or more digits of ids, relative paths, or files on this machine.
        findings: What the last audit found.
        spare: Of a finding on copies, leave one image of each group out of the selection.

    Raises:
        DataError: If not exactly one way was used, or something named is unknown (with the nearest).
    """
    ways = [bool(where), finding is not None, bool(images)]
    if sum(ways) != 1:
        given = (
            "Nothing says" if not any(ways) else "More than one of --where, --finding, --image says"
        )
        raise DataError(
            f"{given} which images are meant.",
            remedy="Give one: --where COLUMN=VALUE, --finding CODE, or --image ID_OR_PATH.",
        )
    if where:
        return by_rule(manifest, parse_rule(where))
    if finding is not None:
        return by_finding(manifest, finding, findings, spare=spare)
    return Selection(images=tuple(sorted(set(find_images(manifest, images).values()))))


def by_rule(manifest: Manifest, rule: Sequence[Condition]) -> Selection:
    """Return the images of the rows that a rule names.

    Raises:
        DataError: If a column or value is unknown, or no row meets the rule.
    """
    own = check_rule(manifest.table, rule)
    met = (
        manifest.table.select("image", meets(manifest.table, own).alias("met"))
        .filter(pl.col("image").is_not_null())
        .group_by("image")
        .agg(pl.col("met").any().alias("some"), pl.col("met").all().alias("all"))
    )
    wholly = met.filter("all")["image"].sort().to_list()
    elsewhere = met.filter(pl.col("some") & ~pl.col("all")).height
    return Selection(
        images=tuple(wholly),
        where=tuple(map(str, own)),
        messages=(f"{_images(elsewhere)} with copies elsewhere, where the rule does not hold: only the"
            " copies where it holds are meant.",) if elsewhere else (),
    )  # fmt: skip


def by_finding(
    manifest: Manifest, code: str, findings: Sequence[Finding], *, spare: bool = False
) -> Selection:
    """Return the images that findings of one code speak of.

    Raises:
        DataError: If the last audit found nothing of that code, or nothing that names images.
    """
    told = findings_of(code, findings)
    named = {image for one in told for image in _ids(one, manifest)}
    here = set(
        manifest.table.filter(pl.col("image").is_in(list(named)))["image"].unique().to_list()
    )
    messages = []
    if gone := len(named) - len(here):
        messages.append(f"The finding names {_images(gone)} that the data set no longer has.")
    if code == "exact-duplicates":
        raise DataError(
            "'exact-duplicates' are the same bytes, which count once already.",
            remedy="Nothing needs to be left out; give --image to leave out all copies of one.",
        )
    if not here:
        raise DataError(
            f"The finding '{code}' names no image of the data set.",
            remedy="Do what the finding itself advises: affinage audit DATA",
        )
    if spare and code in _ONE_OF_EACH:
        kept = _largest_of_each(manifest, told)
        messages.append(f"The largest image of each group of copies stays: {_images(len(kept))}.")
        here -= kept
    return Selection(images=tuple(sorted(here)), messages=tuple(messages))


def findings_of(code: str, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of one code.

    Raises:
        DataError: If there is none, with the nearest code.
    """
    told = [finding for finding in findings if finding.code == code]
    if told:
        return told
    codes = sorted({finding.code for finding in findings})
    near = nearest(code, codes)
    raise DataError(
        f"The last audit found no '{code}' (it found {', '.join(codes) or 'nothing'}).",
        remedy=f"Do you mean --finding {near}?"
        if near
        else "Name one of these; or look again, if the data changed: affinage audit DATA"
        if codes
        else "Audit first: affinage audit DATA",
    )


def _ids(finding: Finding, manifest: Manifest) -> set[str]:
    pairs = {image for pair in finding.pairs for image in (pair.first_id, pair.second_id)}
    if finding.ids or pairs:
        return set(finding.ids) | pairs
    rows = manifest.table.filter(pl.col("path").is_in(list(finding.images)))
    return set(rows["image"].drop_nulls().to_list())


def _largest_of_each(manifest: Manifest, findings: Iterable[Finding]) -> set[str]:
    """Return the image to keep of each group of copies: most pixels, most bytes, smallest id."""
    kept = manifest.kept.select("image", "width", "height", *_if_there(manifest, "bytes"))
    rank = {row[0]: (-(row[1] or 0) * (row[2] or 0), *(-(n or 0) for n in row[3:]), row[0])
            for row in kept.iter_rows()}  # fmt: skip
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for image, group in groups_of(pair for one in findings for pair in one.pairs).items():
        if image in rank:
            groups[group].append(image)
    return {min(members, key=lambda image: rank[image]) for members in groups.values()}


def _if_there(manifest: Manifest, name: str) -> list[str]:
    return [name] if name in manifest.table.columns else []


def find_images(manifest: Manifest, names: Sequence[str]) -> dict[str, str]:
    """Return the id of each image that is named by its id, its path or its file.

    Args:
        manifest: Where they are looked up, whatever their status.
        names: Ids, the first 8 or more digits of ids, paths as the manifest has them (with the
            source's name before them where several sources have the same), or files on this machine.

    Raises:
        DataError: If one is unknown (with the nearest), ambiguous, or could not be read as an image.
    """
    paths = _ids_by_path(manifest, names)
    known = manifest.table.select("image").filter(pl.col("image").is_in(list(map(escape, names))))
    ids = set(known["image"].to_list())
    return {
        name: name if name in ids else _one(manifest, name, paths) for name in dict.fromkeys(names)
    }


def _ids_by_path(manifest: Manifest, names: Sequence[str]) -> dict[str, set[str | None]]:
    long = (pl.col("source") + "/" + pl.col("path")).alias("long")
    rows = manifest.table.select("path", long, "image")
    wanted = [_plain(name) for name in names]
    rows = rows.filter(pl.col("path").is_in(wanted) | pl.col("long").is_in(wanted))
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    for path, full, image in rows.iter_rows():
        found[path].add(image)
        found[full].add(image)
    return found


def _plain(name: str) -> str:
    """Return a name as the manifest writes paths: forward slashes, odd bytes as %XX."""
    return escape(name).replace("\\", "/").removeprefix("./")


def _one(manifest: Manifest, name: str, paths: Mapping[str, set[str | None]]) -> str:
    found = paths.get(_plain(name)) or _by_start(manifest, name) or _by_file(manifest, name)
    images = sorted(image for image in found if image is not None)
    if len(images) == 1:
        return images[0]
    if len(images) > 1:
        raise DataError(
            f"'{name}' names {len(images)} images: {', '.join(image[:12] for image in images[:4])}.",
            remedy="Give more digits of the id, or the source's name before the path.",
        )
    if found:
        raise DataError(
            f"'{name}' could not be read as an image: it has no id, and is not used anyway.",
            remedy="Name images that could be read.",
        )
    near = _nearest_path(manifest, name)
    raise DataError(
        f"There is no image '{name}' in the data set.",
        remedy=f"Do you mean '{near}'?"
        if near
        else "Give an id, or a path as the manifest has it.",
    )


def _by_start(manifest: Manifest, name: str) -> set[str | None]:
    if not _ID_START.fullmatch(name.lower()):
        return set()
    column = manifest.table["image"]
    return set(column.filter(column.str.starts_with(name.lower()).fill_null(value=False)).to_list())


def _by_file(manifest: Manifest, name: str) -> set[str | None]:
    """Return the image that has the bytes of a file, wherever the file lies now."""
    try:
        image = content_id(Path(name).read_bytes())
    except (OSError, ValueError):
        return set()
    column = manifest.table["image"]
    return {image} if column.eq(image).any() else set()


def _nearest_path(manifest: Manifest, name: str) -> str | None:
    end = _plain(name).rsplit("/", 1)[-1]
    paths = manifest.table["path"]
    same_name = paths.filter(paths.str.ends_with(end)).head(50).to_list()
    return nearest(_plain(name), same_name or paths.sort().head(2000).to_list())


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
