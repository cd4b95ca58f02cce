"""Annotations: what every format says of images and boxes, before anyone has looked at a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from affinage.datasets.places import escape, normal_label
from affinage.records.box import Box

Kind = Literal["coco", "voc", "yolo", "nuscenes", "nuscenes2d", "table"]
KINDS: tuple[Kind, ...] = ("coco", "voc", "yolo", "nuscenes", "nuscenes2d", "table")

Fault = Literal["broken", "malformed", "unknown-category", "unknown-image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One image as the annotations list it.

    Attributes:
        path: As they write it, with forward slashes: relative to a folder of images.
        width: Of the frame, px, as they state it; None where they do not.
        height: Likewise.
        boxes: In pixels of that frame, or shares of it: see `Annotations.shares`.
        split: `train`, `validation`, `test` or None.
        columns: What else they tell of it.
    """

    path: str
    width: int | None = None
    height: int | None = None
    boxes: tuple[Box, ...] = ()
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in the annotations themselves.

    Attributes:
        fault: `broken` files, `malformed` boxes, boxes of an `unknown-category` or `unknown-image`.
        where: Image, file or line.
        detail: The offending value in words.
        image: Path of the image that it is about, as the annotations write it; "" for none.
    """

    fault: Fault
    where: str
    detail: str
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """What a reader of one format found.

    Attributes:
        kind: The format.
        images: Sorted by path, each path once unless the annotations list it twice.
        classes: Every class that they declare, also those without a box.
        folders: Where the images may lie, the likeliest first.
        shares: Whether boxes are shares of the frame, 0 to 1, and not pixels.
        problems: What is wrong in them.
    """

    kind: Kind
    images: tuple[Listed, ...]
    classes: tuple[str, ...]
    folders: tuple[Path, ...]
    shares: bool = False
    problems: tuple[Problem, ...] = ()


def plain_text(value: object) -> str:
    """Return a label or path as text that can be written anywhere; "" for nothing."""
    if value is None:
        return ""
    text = escape(str(value)).encode("utf-8", "replace").decode()
    return normal_label(text) or ""


def whole(value: object) -> int | None:
    """Return a side of a frame as a whole number of pixels; None where it is none above 0."""
    number = real(value)
    return round(number) if math.isfinite(number) and 0.5 <= number < 1e9 else None


def real(value: object) -> float:
    """Return a number, or NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def truth(value: object) -> bool:
    """Return whether a flag is set, however it is written: 1, true, "Yes"..."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "1.0", "true", "yes", "t", "y")
    return value is not None and value == 1


def numbers(value: Any, count: int) -> Sequence[float] | None:
    """Return a list of so many numbers, NaN for what is none; None where it is no such list."""
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    return [real(item) for item in value]
