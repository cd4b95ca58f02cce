"""`affinage counts`."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli.options import FailOn

if TYPE_CHECKING:
    from rich.table import Table

    from affinage.records.box import ClassCounts, CountsResult


class Whether(StrEnum):
    """Whether boxes of a kind are counted."""

    SKIP = "skip"
    COUNT = "count"


class Times(StrEnum):
    """How often an object with two boxes counts."""

    COUNT = "count"
    ONCE = "once"


class Missing(StrEnum):
    """What becomes of images that are not there."""

    SKIP = "skip"
    KEEP = "keep"


class Unmentioned(StrEnum):
    """What becomes of images that the annotations do not mention."""

    SKIP = "skip"
    ZERO = "zero"


def counts(
    annotations: Annotated[
        Path,
        typer.Argument(
            metavar="ANNOTATIONS",
            help="COCO .json, folder of Pascal VOC or YOLO files, nuScenes tables, or a table of boxes.",
        ),
    ],
    *,
    into: Annotated[
        Path,
        typer.Option(
            metavar="TABLE", help="The .csv or .parquet to write, beside or above the images."
        ),
    ],
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the images are, if not beside.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="coco, voc, yolo, nuscenes, nuscenes2d or table; found by the content otherwise.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size at which the model will see the images: 400x225."),
    ] = None,
    min_box: Annotated[
        float,
        typer.Option(
            metavar="PX", help="Do not count boxes whose shorter side is below this at --size."
        ),
    ] = 0.0,
    crowd: Annotated[Whether, typer.Option(help="Regions of many objects.")] = Whether.SKIP,
    difficult: Annotated[
        Whether, typer.Option(help="Boxes marked as difficult, ignored or mostly hidden.")
    ] = Whether.COUNT,
    duplicates: Annotated[
        Times, typer.Option(help="Boxes that lie on another of the same label.")
    ] = Times.COUNT,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="Count these only, in this order of columns."),
    ] = None,
    missing: Annotated[
        Missing, typer.Option(help="Annotated images that are not there.")
    ] = Missing.SKIP,
    unmentioned: Annotated[
        Unmentioned, typer.Option(help="Images beside them that the annotations do not mention.")
    ] = Unmentioned.SKIP,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Leave out the images of a finding; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:
    """Turn boxes around objects into a table of counts per class and image.

    Formats: COCO, Pascal VOC, YOLO, nuScenes, or a table path,label,x1,y1,x2,y2.

    Examples:
      affinage counts boxes.csv --into counts.csv

      affinage counts annotations/instances_train.json --into counts.csv --size 400x225 --min-box 10
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.cli.severity import check_fail_on, exit_on_findings
    from affinage.workflows.counts import counts as count

    check_fail_on(fail_on)
    with reporter() as told:
        result = count(
            annotations,
            into=into,
            images=images,
            format=format_,
            size=_size(size),
            min_box=min_box,
            crowd=crowd.value,
            difficult=difficult.value,
            duplicates=duplicates.value,
            classes=[name.strip() for name in classes.split(",") if name.strip()]
            if classes is not None
            else None,
            missing=missing.value,
            unmentioned=unmentioned.value,
            leave_out=leave_out or (),
            reporter=told,
        )
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "counts", **to_plain(result)})
    else:
        from affinage.reporting.terminal import findings_to_terminal

        show(_headline(result))
        show(_table(result.classes))
        if result.findings:
            show("")
            show(findings_to_terminal(result.findings))
    exit_on_findings(fail_on, result.findings)


def _size(text: str | None) -> tuple[int, int] | None:
    """Return width and height.

    Raises:
        RecipeError: If the text is not like 400x225.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", text)
    if found is None:
        from affinage.errors import RecipeError

        raise RecipeError(
            f"--size '{text}' is no width and height.", remedy="Write it as --size 400x225."
        )
    return int(found[1]), int(found[2])


def _headline(result: "CountsResult") -> str:
    at = f" at {result.size[0]} × {result.size[1]}" if result.size else ""
    rule = f", none smaller than {result.min_box:g} px{at}" if result.min_box else ""
    left = f"; {result.left_out:,} left out" if result.left_out else ""
    parts = ", ".join(f"{number:,} {name}" for name, number in result.splits.items())
    return (
        f"{result.counted:,} of {result.boxes:,} boxes counted in {result.images:,} images"
        f"{f' ({parts})' if parts else ''}{left}{rule}.\n"
    )


def _table(classes: "tuple[ClassCounts, ...]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from affinage.reporting.words import one_line

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("class", "counted", "images with", "none", "mean", "median", "most"):
        table.add_column(column, justify="left" if column == "class" else "right")
    table.add_column("not counted", overflow="fold")
    for one in classes:
        dropped = ", ".join(f"{number:,} {why}" for why, number in one.dropped.items())
        table.add_row(
            Text(one_line(one.name)), f"{one.counted:,}", f"{one.images:,}", f"{100 * one.zero_share:.1f} %",
            f"{one.mean:.2f}", f"{one.median:g}", f"{one.largest:,}", Text(dropped, style="dim"),
        )  # fmt: skip
    return table
