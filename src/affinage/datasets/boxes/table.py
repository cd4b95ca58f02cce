"""A table of boxes: `path,label,x1,y1,x2,y2` or `path,label,x,y,w,h`, a box a row, as CSV or Parquet."""

import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from affinage.datasets.boxes.annotations import (
    Annotations,
    Listed,
    Problem,
    plain_text,
    real,
    truth,
    whole,
)
from affinage.datasets.folders import part_named
from affinage.errors import DataError
from affinage.records.box import Box

# fmt: off
_NAMES: dict[str, tuple[str, ...]] = {
    "path": ("path", "image", "filename", "file_name", "file", "image_path", "img_path", "img"),
    "label": ("label", "class", "category", "name", "class_name", "category_name"),
    "x1": ("x1", "xmin", "x_min", "left", "bbox_x1"),
    "y1": ("y1", "ymin", "y_min", "top", "bbox_y1"),
    "x2": ("x2", "xmax", "x_max", "right", "bbox_x2"),
    "y2": ("y2", "ymax", "y_max", "bottom", "bbox_y2"),
    "x": ("x", "bbox_x", "x1", "xmin", "x_min", "left"),
    "y": ("y", "bbox_y", "y1", "ymin", "y_min", "top"),
    "w": ("w", "bbox_width", "box_width", "bbox_w", "width"),
    "h": ("h", "bbox_height", "box_height", "bbox_h", "height"),
    "frame_width": ("image_width", "img_width", "frame_width", "width"),
    "frame_height": ("image_height", "img_height", "frame_height", "height"),
    "split": ("split", "subset", "set"),
    "crowd": ("crowd", "iscrowd", "is_crowd", "isgroupof"),
    "difficult": ("difficult", "ignore"),
    "truncated": ("truncated", "istruncated"),
}
# fmt: on
_CORNERS, _SIDES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
HOW = "Begin it with a line path,label,x1,y1,x2,y2 (or x,y,w,h), and write a box a row."


def read_table(file: Path) -> Annotations:
    """Return what a table of boxes says of images and boxes.

    Coordinates are pixels; where all of them lie in 0..1 and not all are whole, shares of the frame.
    A row with a path and neither label nor coordinates is an image without boxes.

    Raises:
        DataError: If it cannot be read or lacks a column.
    """
    table = _rows(file)
    columns = _columns(table.columns, file)
    fields = {name: table[column].to_list() for name, column in columns.items()}
    edges = _CORNERS if "x2" in columns else _SIDES
    boxes: defaultdict[str, list[Box]] = defaultdict(list)
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for row in range(table.height):
        path = plain_text(fields["path"][row]).replace("\\", "/")
        if not path:
            problems.append(
                Problem(fault="malformed", where=f"row {row + 1:,}", detail="without a path")
            )
            continue
        first.setdefault(path, row)
        label = plain_text(fields["label"][row])
        given = [fields[edge][row] for edge in edges]
        if not label and all(value is None for value in given):
            continue
        if not label:
            problems.append(
                Problem(fault="malformed", where=path, detail="a box without a label", image=path)
            )
            continue
        boxes[path].append(_box(label, [real(value) for value in given], edges, fields, row))
    images = tuple(
        _listed(path, first[path], boxes.get(path, ()), fields) for path in sorted(first)
    )
    return Annotations(
        kind="table",
        images=images,
        classes=tuple(dict.fromkeys(box.label for image in images for box in image.boxes)),
        folders=(file.parent,),
        shares=_in_shares(images),
        problems=tuple(problems),
    )


def is_table_of_boxes(header: Sequence[str]) -> bool:
    """Return whether a table's columns are those of boxes."""
    lower = {name.strip().lower() for name in header}
    return all(lower & set(_NAMES[name]) for name in ("path", "label", "x", "y"))


def table_header(file: Path) -> list[str]:
    """Return the names of a table's columns; none where it cannot be read."""
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            return list(pl.read_parquet_schema(file))
        with file.open("rb") as opened:
            text = _decoded(opened.read(1 << 16), errors="ignore")
    except (pl.exceptions.PolarsError, OSError):
        return []
    first = next((line for line in text.splitlines() if line.strip()), "")
    return [name.strip('" ') for name in first.split(_separator(first))]


def _separator(line: str) -> str:
    return max(",\t;|", key=line.count)


def _rows(file: Path) -> pl.DataFrame:
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            table = pl.read_parquet(file)
            return table.select(pl.all().cast(pl.String, strict=False))
        text = _decoded(file.read_bytes())
        first = next((line for line in text.splitlines() if line.strip()), "")
        data = io.BytesIO(text.encode("utf-8", "replace"))
        return pl.read_csv(data, separator=_separator(first), infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        why = getattr(error, "strerror", None) or (str(error).strip().splitlines() or ["empty"])[0]
        raise DataError(f"The table '{file}' cannot be read: {why}.", remedy=HOW) from None


def _decoded(data: bytes, errors: str = "replace") -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors=errors)
    try:
        return data.decode("utf-8-sig", errors="strict" if errors == "replace" else errors)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _columns(header: Sequence[str], file: Path) -> dict[str, str]:
    """Return the table's own name of each column that is understood."""
    lower = {name.strip().lower(): name for name in reversed(header)}

    def found(names: Sequence[str], taken: Sequence[str] = ()) -> dict[str, str]:
        first = {
            name: next((lower[one] for one in _NAMES[name] if one in lower), None) for name in names
        }
        return {name: one for name, one in first.items() if one is not None and one not in taken}

    edges = found(_CORNERS)
    if len(edges) < 4:
        edges = found(_SIDES)
    main = found(("path", "label"))
    if len(edges) < 4 or len(main) < 2:
        names = ", ".join(f"'{name}'" for name in list(header)[:12]) or "none"
        raise DataError(
            f"The table '{file}' is no table of boxes (its columns: {names}).", remedy=HOW
        )
    taken = [*edges.values(), *main.values()]
    rest = ("frame_width", "frame_height", "split", "crowd", "difficult", "truncated")
    return {**edges, **main, **found(rest, taken)}


def _box(
    label: str,
    edges: Sequence[float],
    kind: Sequence[str],
    fields: Mapping[str, list[str | None]],
    row: int,
) -> Box:
    x1, y1, x2, y2 = edges
    if kind is _SIDES:
        x2, y2 = x1 + x2, y1 + y2
    crowd, difficult, truncated = (
        name in fields and truth(fields[name][row]) for name in ("crowd", "difficult", "truncated")
    )
    return Box(
        label=label,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        crowd=crowd,
        difficult=difficult,
        truncated=truncated,
    )


def _listed(
    path: str, row: int, boxes: Sequence[Box], fields: Mapping[str, list[str | None]]
) -> Listed:
    width, height = (
        whole(fields[name][row]) if name in fields else None
        for name in ("frame_width", "frame_height")
    )
    split = part_named(fields["split"][row] or "") if "split" in fields else None
    return Listed(path=path, width=width, height=height, boxes=tuple(boxes), split=split)


def _in_shares(images: Sequence[Listed]) -> bool:
    edges = [
        edge
        for image in images
        for box in image.boxes
        for edge in (box.x1, box.y1, box.x2, box.y2)
        if math.isfinite(edge)
    ]
    within = bool(edges) and all(0 <= edge <= 1 for edge in edges)
    return within and any(not edge.is_integer() for edge in edges)
