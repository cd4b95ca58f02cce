"""Tables of new labels: `image` or `path`, and `label`."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from affinage.datasets.rules import nearest
from affinage.errors import DataError

_Cells = dict[str, str]


def read_labels(file: Path) -> dict[str, str]:
    """Return the new label of each image that a table names, by the name it is given there.

    Args:
        file: CSV (comma, tab, semicolon or `|`; UTF-8) or Parquet with a column `label` and one of
            `image` (ids) and `path`; further columns are not looked at.

    Raises:
        DataError: If it cannot be read, lacks a column, or gives an image two labels.
    """
    parquet = file.suffix.lower() in (".parquet", ".pq")
    labels: dict[str, str] = {}
    for line, cells in _parquet_rows(file) if parquet else _text_rows(file):
        name = cells.get("image", "").strip() or cells.get("path", "").strip()
        label = cells.get("label", "").strip()
        if not name and not label:
            continue
        if not name or not label:
            raise DataError(
                f"{line} of '{file.name}' has no {'label' if name else 'image'}.",
                remedy="Give each row an image or a path, and a label.",
            )
        if labels.setdefault(name, label) != label:
            raise DataError(
                f"{line} of '{file.name}' gives '{name}' the label '{label}', an earlier one"
                f" '{labels[name]}'.",
                remedy="Give each image one label.",
            )
    if not labels:
        raise DataError(f"'{file.name}' has no rows.", remedy="Give a row for each image.")
    return labels


def _parquet_rows(file: Path) -> Iterator[tuple[str, _Cells]]:
    try:
        table = pl.read_parquet(file).select(pl.all().cast(pl.String, strict=False))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(file, str(error).splitlines()[0]) from None
    names = [name.strip().lower() for name in table.columns]
    _check_columns(names, file)
    for number, row in enumerate(table.iter_rows(), start=1):
        yield f"Row {number}", dict(zip(names, (cell or "" for cell in row), strict=True))


def _text_rows(file: Path) -> Iterator[tuple[str, _Cells]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _unreadable(file, "it is not UTF-8") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",\t;|", key=first.count))
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_columns(names, file)
        for row in reader:
            yield f"Line {reader.line_num}", dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise _unreadable(file, f"line {reader.line_num}: {error}") from None


def _check_columns(names: list[str], file: Path) -> None:
    missing = None if "label" in names else "label"
    if not {"image", "path"} & set(names):
        missing = missing or "image"
    if missing:
        near = nearest(missing, names)
        raise DataError(
            f"'{file.name}' has no column '{missing}' (its columns: {', '.join(names) or 'none'}).",
            remedy=f"Rename '{near}' to '{missing}'."
            if near
            else "Begin it with image,label or path,label",
        )


def _unreadable(file: Path, why: str) -> DataError:
    return DataError(
        f"The table '{file}' cannot be read: {why}.", remedy="Give a CSV (UTF-8) or Parquet file."
    )
