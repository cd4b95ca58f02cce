"""The column `boxes` of a table of counts: which objects were counted, and where they are."""

import json
from collections.abc import Iterable

from affinage.errors import DataError

BOXES = "boxes"
"""Name of the column: a list of [class, left, top, right, bottom] in JSON, px of the image as shown."""

CountedBox = tuple[str, float, float, float, float]
"""Class, left, top, right, bottom."""


def boxes_text(boxes: Iterable[CountedBox]) -> str:
    """Return the cell of some boxes; coordinates to a hundredth of a pixel."""
    rows = [[name, *(round(value, 2) for value in sides)] for name, *sides in boxes]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def read_boxes(text: str | None) -> tuple[CountedBox, ...]:
    """Return the boxes of a cell.

    Raises:
        DataError: If it is none.
    """
    try:
        return tuple(_box(*row) for row in json.loads(text or ""))
    except (ValueError, TypeError, RecursionError):
        shown = (text or "")[:60]
        raise DataError(
            f"'{shown}' is no cell of the column {BOXES}: a list of [class, left, top, right, "
            "bottom] with the right edge right of the left one.",
            remedy="Make the table anew: affinage counts ANNOTATIONS --into TABLE",
        ) from None


def _box(name: str, left: float, top: float, right: float, bottom: float) -> CountedBox:
    if not (isinstance(name, str) and 0 <= left < right < 1e6 and 0 <= top < bottom < 1e6):
        raise ValueError(name)
    return name, float(left), float(top), float(right), float(bottom)
