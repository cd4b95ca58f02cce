"""The table of counts: a row for each image, a column for each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.errors import DataError
from affinage.records.box import COUNT_PREFIX, BoxedImage
from affinage.records.box_column import BOXES, CountedBox, boxes_text
from affinage.store.files import write_atomically

SUFFIXES = (".csv", ".parquet")


def check_target(table: Path, source: Path) -> None:
    """Refuse a table whose name says no format, or that would replace anything but counts.

    Raises:
        DataError: If so.
    """
    if table.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"'{table}' is neither a .csv nor a .parquet.", remedy="Say --into counts.csv."
        )
    if not table.exists():
        return
    if table.is_dir() or table.resolve() == source.resolve() or not _has_counts(table):
        raise DataError(
            f"'{table}' exists and is no table of counts: it would be replaced.",
            remedy="Choose another name with --into, or move it away.",
        )


def counts_table(
    images: Sequence[BoxedImage],
    classes: Sequence[str],
    counts: NDArray[np.int64],
    boxes: Sequence[Sequence[CountedBox]],
) -> pl.DataFrame:
    """Return the table, sorted by path.

    Its columns are `path`, `width`, `height`, `split` where one is given, what else the annotations
    tell of images, `boxes`, and for each class `count:CLASS`, whole numbers.

    Args:
        images: The rows.
        classes: Names in the order of the columns.
        counts: Shape (images, classes).
        boxes: The counted boxes of each image.
    """
    further = sorted({name for image in images for name in image.columns})
    data: dict[str, list[object]] = {
        "path": [image.path for image in images],
        "width": [image.width for image in images],
        "height": [image.height for image in images],
    }
    if any(image.split for image in images):
        data["split"] = [image.split for image in images]
    for name in further:
        data[name] = [image.columns.get(name) for image in images]
    data[BOXES] = [boxes_text(counted) for counted in boxes]
    table = pl.DataFrame(data)
    columns = [pl.Series(f"{COUNT_PREFIX}{name}", counts[:, n]) for n, name in enumerate(classes)]
    return table.with_columns(columns).sort("path")


def write_table(table: pl.DataFrame, file: Path) -> None:
    """Write a table as CSV or Parquet, by its name, atomically."""
    if file.suffix.lower() == ".parquet":
        write_atomically(file, table.write_parquet)
    else:
        write_atomically(file, table.write_csv)


def _has_counts(file: Path) -> bool:
    try:
        if file.suffix.lower() == ".parquet":
            names = list(pl.read_parquet_schema(file))
        else:
            names = pl.read_csv(file, n_rows=0, infer_schema=False).columns
    except (pl.exceptions.PolarsError, OSError):
        return False
    return "path" in names and any(name.startswith(COUNT_PREFIX) for name in names)
