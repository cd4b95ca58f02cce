"""The verb `counts`: annotations of boxes become a table of counts per class and image."""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from inspect import signature
from pathlib import Path
from shlex import join
from typing import Literal, cast

import numpy as np

from affinage.datasets.boxes.annotations import Annotations
from affinage.datasets.boxes.counted import Counted, class_summary, count_boxes, spellings
from affinage.datasets.boxes.counting import Rules
from affinage.datasets.boxes.findings import COMMAND, findings_of
from affinage.datasets.boxes.formats import kind_named, read_annotations
from affinage.datasets.boxes.placing import Placed, images_folder, place
from affinage.datasets.boxes.writing import check_target, counts_table, write_table
from affinage.errors import DataError, RecipeError
from affinage.imaging.hashing import content_id
from affinage.records.box import CountsResult
from affinage.records.finding import Finding
from affinage.workflows.reporter import Reporter, Silent

Whether = Literal["skip", "count"]

_WRITTEN = {"size": "x", "classes": ","}
"""What stands between the values of an option that takes several in one word."""


def counts(
    annotations: str | Path,
    *,
    into: str | Path,
    images: str | Path | None = None,
    format: str | None = None,  # noqa: A002 - the flag's name.
    size: tuple[int, int] | None = None,
    min_box: float = 0.0,
    crowd: Whether = "skip",
    difficult: Whether = "count",
    duplicates: Literal["count", "once"] = "count",
    classes: Sequence[str] | None = None,
    missing: Literal["skip", "keep"] = "skip",
    unmentioned: Literal["skip", "zero"] = "skip",
    leave_out: Collection[str] = (),
    reporter: Reporter | None = None,
) -> CountsResult:
    """Write how many objects of each class each image shows, from annotations of boxes.

    Args:
        annotations: A COCO document, a folder of Pascal VOC or YOLO files, a folder of nuScenes
            tables, the devkit's image_annotations.json, or a table of boxes.
        into: The table to write, .csv or .parquet, beside or above the images: `path`, `width`,
            `height`, `split` where one is given, and a column `count:CLASS` for each class.
        images: Folder of the images; None looks where the format usually has them.
        format: `coco`, `voc`, `yolo`, `nuscenes`, `nuscenes2d` or `table`; None finds out.
        size: Width and height at which a model will see the whole frames, px.
        min_box: Least shorter side of a counted box at that size (without one: in the image), px.
        crowd: What becomes of regions of many objects; `count` counts each as one.
        difficult: What becomes of boxes marked as difficult, ignored or mostly hidden.
        duplicates: Whether two boxes on one object count twice (as annotated) or once.
        classes: The classes to count, in the order of the columns; None counts all.
        missing: What becomes of images that are not there; `keep` needs their size in the annotations.
        unmentioned: What becomes of images that the annotations do not mention; `zero` takes them for
            images without objects.
        leave_out: Codes of findings whose images are left out of the table.
        reporter: Told of progress.

    Raises:
        DataError: If annotations or images cannot be read, or none is left.
        RecipeError: If a setting is not possible.
    """
    given = {name: value for name, value in locals().items() if name != "reporter"}
    told = reporter or Silent()
    source, table = Path(annotations), Path(into)
    check_target(table, source)
    rules = Rules(
        size=size,
        min_box=min_box,
        crowd=crowd == "count",
        difficult=difficult == "count",
        duplicates=duplicates == "count",
    )
    folder = _folder(images)
    told.phase("Reading annotations", 0, None)
    read = read_annotations(source, kind=kind_named(format), images=folder)
    spelling, known = spellings(read)
    placed = _placed(read, folder, table, missing, unmentioned, told)
    counted = count_boxes(
        read,
        placed,
        rules,
        spelling=spelling,
        classes=_chosen(classes, known),
        ids_of=_hasher(table.parent),
    )
    found, out = _without(_runnable(findings_of(counted), _as_asked(given)), leave_out)
    result = _write(counted, found, out, source, table)
    told.say(f"Wrote {result.images:,} rows to {table.name}.")
    return result


def _folder(images: str | Path | None) -> Path | None:
    if images is None:
        return None
    if not Path(images).is_dir():
        raise DataError(f"'{images}' is no folder.", remedy="Name the folder of the images.")
    return Path(images)


def _placed(
    read: Annotations,
    images: Path | None,
    table: Path,
    missing: str,
    unmentioned: str,
    told: Reporter,
) -> Placed:
    folder = images_folder(read, images)
    placed = place(
        read,
        folder,
        table_folder=table.parent,
        fence=images,
        keep_missing=missing == "keep",
        zero_unmentioned=unmentioned == "zero",
        progress=lambda done, total: told.phase("Looking at images", done, total),
    )
    if not placed.images:
        reasons = Counter(left.lack for left in placed.left)
        lines = "".join(f"\n  {number:,} {lack}" for lack, number in reasons.most_common())
        first = f" (the first: '{placed.left[0].path}')" if placed.left else ""
        raise DataError(
            f"None of the {len(read.images):,} annotated images can be used{first}.{lines}",
            remedy="Say where the images are with --images FOLDER; to count without them, where the"
            " annotations state sizes, say --missing keep.",
        )
    return placed


def _chosen(asked: Sequence[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes to count.

    Raises:
        DataError: If there is none.
        RecipeError: If one that was asked for is unknown.
    """
    if not known:
        raise DataError("The annotations have no box and name no class.", remedy="Annotate first.")
    if asked is None:
        return known
    for name in asked:
        if name not in known:
            near = _nearest(name, known)
            raise RecipeError(
                f"No class is called '{name}'; there are {', '.join(known[:12])}.",
                remedy=f"Did you mean '{near}'?"
                if near
                else "Name classes as they are written there.",
            )
    return tuple(dict.fromkeys(asked)) or known


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the class that was probably meant, whatever its case; None where none is near."""
    plain = {one.casefold(): one for one in reversed(known)}
    near = difflib.get_close_matches(name.casefold(), plain, n=1)
    return plain[near[0]] if near else None


def _as_asked(given: Mapping[str, object]) -> str:
    """Return the command that was given, so that what a finding suggests can be run as it stands.

    Args:
        given: The arguments of `counts` that a command can carry, by name.
    """
    usual = signature(counts).parameters
    words = ["affinage", "counts", str(given["annotations"]), "--into", str(given["into"])]
    for name, value in given.items():
        if name in ("annotations", "into") or value == usual[name].default:
            continue
        flag = f"--{name.replace('_', '-')}"
        if name == "leave_out":
            words += [word for code in cast("Collection[str]", value) for word in (flag, code)]
        elif name in _WRITTEN:
            words += [
                flag,
                _WRITTEN[name].join(str(one) for one in cast("Sequence[object]", value)),
            ]
        else:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return join(words)


def _runnable(found: Sequence[Finding], command: str) -> list[Finding]:
    """Return findings whose remedies name the files of this very call."""
    return [replace(finding, remedy=finding.remedy.replace(COMMAND, command)) for finding in found]


def _hasher(folder: Path) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """Return a function from paths to image ids; images that are not there have none."""

    @cache
    def identity(path: str) -> str | None:
        try:
            return content_id((folder / path).read_bytes())
        except OSError:
            return None

    def ids_of(paths: Sequence[str]) -> tuple[str, ...]:
        found = (identity(path) for path in paths)
        return tuple(dict.fromkeys(one for one in found if one is not None))

    return ids_of


def _without(
    found: list[Finding], codes: Collection[str]
) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """Return the findings that stay, and the images to leave out because of the others.

    Raises:
        RecipeError: If a code is not among the findings, or speaks of no image.
    """
    present = {finding.code for finding in found if finding.images}
    for code in codes:
        if code not in present:
            there = ", ".join(sorted(present)) or "none"
            raise RecipeError(
                f"No finding of images has the code '{code}'; there are: {there}.",
                remedy="Leave it away, or name one of these with --leave-out.",
            )
    left = [finding for finding in found if finding.code in codes]
    paths = tuple(dict.fromkeys(path for finding in left for path in finding.images))
    kept = [finding for finding in found if finding.code not in codes]
    if paths:
        kept.append(
            Finding(
                code="left-out-as-asked",
                severity="note",
                subject=f"{len(paths):,} image{'' if len(paths) == 1 else 's'} left out as asked.",
                evidence=tuple(f"{finding.code}: {finding.subject}" for finding in left),
                images=paths,
            )
        )
    return tuple(kept), frozenset(paths)


def _write(
    counted: Counted, found: tuple[Finding, ...], out: frozenset[str], source: Path, table: Path
) -> CountsResult:
    rows = np.array([image.path not in out for image in counted.images], dtype=np.bool_)
    kept = [image for image in counted.images if image.path not in out]
    if not kept:
        raise DataError(
            f"All {len(counted.images):,} images would be left out.", remedy="Ask for fewer."
        )
    boxes = counted.counted_boxes()
    where = [boxes[image.path] for image in kept]
    write_table(counts_table(kept, counted.classes, counted.counts[rows], where), table)
    summary = class_summary(counted, rows)
    splits = Counter(image.split for image in kept if image.split)
    return CountsResult(
        annotations=source.name,
        kind=counted.annotations.kind,
        table=table.name,
        images=len(kept),
        left_out=len(counted.placed.left) + len(counted.images) - len(kept),
        boxes=sum(one.boxes for one in summary),
        counted=sum(one.counted for one in summary),
        size=counted.rules.size,
        min_box=counted.rules.min_box,
        splits=dict(sorted(splits.items())),
        classes=summary,
        findings=found,
    )
