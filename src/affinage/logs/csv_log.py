"""CSV files of Keras' and Lightning's loggers, and tables like them."""

import csv
import math
from pathlib import Path

from affinage.errors import RunError
from affinage.logs.naming import named
from affinage.records.signals import Point

_MOST_ROWS = 1_000_000


def points_of_csv(path: Path) -> list[Point]:
    """Return the curves of a table with a row per epoch or per look.

    A column `epoch` gives the position; rows of one epoch (Lightning writes training and validation
    apart) are one point, the last value counting. Without it, the row's number does.

    Raises:
        RunError: If the file cannot be read as a table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(text.splitlines(), delimiter=_delimiter(text)))[:_MOST_ROWS]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RunError(
            f"'{path.name}' cannot be read as a table.", remedy="Give a CSV file in UTF-8."
        ) from None
    found: dict[tuple[str, str, float], float] = {}
    for number, row in enumerate(rows):
        epoch = _number(row.get("epoch") or row.get("Epoch")) if row else None
        position = number + 1.0 if epoch is None else epoch + 1.0
        for column, cell in row.items():
            value, name = _number(cell), named(column or "")
            if value is not None and name is not None:
                found[*name, position] = value
    return [
        Point(stage="training", series=series, on=on, epoch=epoch, value=value)
        for (series, on, epoch), value in found.items()
    ]


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _number(cell: object) -> float | None:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
