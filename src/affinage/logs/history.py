"""A history as JSON: Keras' `History.history`, or the state of Hugging Face's Trainer."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affinage.errors import RunError
from affinage.logs.naming import named
from affinage.records.signals import Point


def points_of_history(path: Path) -> list[Point]:
    """Return the curves of a JSON file: a list of numbers by name, or a list of rows by name.

    Raises:
        RunError: If the file is no JSON.
    """
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"'{path.name}' is no JSON.", remedy="Save it with json.dump.") from None
    if isinstance(value, dict):
        value = value.get("log_history") or value.get("history") or value
    rows = _of_columns(value) if isinstance(value, dict) else _of_rows(value)
    return [
        Point(stage="training", series=series, on=on, epoch=epoch, value=number)
        for (series, on, epoch), number in dict(rows).items()
    ]


_Row = tuple[tuple[str, str, float], float]


def _of_columns(columns: dict[str, Any]) -> Iterator[_Row]:
    for column, values in columns.items():
        name = named(column)
        if name is None or not isinstance(values, list):
            continue
        for position, value in enumerate(values, start=1):
            if _is_number(value):
                yield (*name, float(position)), float(value)


def _of_rows(rows: Any) -> Iterator[_Row]:
    for number, row in enumerate(rows if isinstance(rows, list) else [], start=1):
        if not isinstance(row, dict):
            continue
        position = row.get("epoch", number)
        for column, value in row.items():
            name = named(column)
            if name is not None and _is_number(value) and _is_number(position):
                yield (*name, float(position)), float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
