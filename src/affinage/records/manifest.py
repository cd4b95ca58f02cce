"""Manifest: every image of a data set, where it is, what it shows, and whether it is used."""

import re
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from affinage.errors import DataError

Status = Literal["kept", "excluded", "failed"]
COUNT, TAG, LABELS = "count:", "label:", "labels"
"""How the columns of counts and of 0/1 labels begin, and the name of the one that lists labels."""

_BETWEEN = re.compile(r"[;|,]")
PARTS = ("train", "validation", "test")

SCHEMA: dict[str, pl.DataType] = {
    "key": pl.String(),  # SHA-256 of source and relative path: who this row is. Never a row number.
    "image": pl.String(),  # SHA-256 of the file's bytes; null where they could not be read.
    "source": pl.String(),  # Name of the source, a key of `Manifest.sources`.
    "path": pl.String(),  # Relative to its source, with forward slashes.
    "label": pl.String(),  # null where there is none.
    "part": pl.String(),  # The part that the user gave (train, validation, test), else null.
    "width": pl.Int32(),  # Pixels as shown, after the EXIF rotation; null where unreadable.
    "height": pl.Int32(),
    "format": pl.String(),  # What the bytes are: JPEG, PNG, WEBP...; null where unreadable.
    "notes": pl.String(),  # How it was read where that is not plain; "; " between notes, "" for none.
    "status": pl.String(),  # kept, excluded (left out on purpose) or failed (could not be read).
    "reason": pl.String(),  # Why it is not kept; null where it is.
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Rows of places where an image is or should be.

    Attributes:
        table: Columns of `SCHEMA`, then the user's own columns (as strings), sorted by `key`.
        sources: Absolute folder of each source by its name; kept out of every report.
        label_order: Class names in the order of their indices; part of the data set.

    Raises:
        DataError: If a column of `SCHEMA` is missing or a key stands twice.
    """

    table: pl.DataFrame
    sources: dict[str, str] = field(default_factory=dict)
    label_order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [name for name in SCHEMA if name not in self.table.columns]
        if missing:
            raise DataError(
                f"The manifest lacks the columns {', '.join(missing)}.",
                remedy="Scan the source again: delete the data set's folder and rerun.",
            )
        if self.table["key"].n_unique() != self.table.height:
            raise DataError(
                "Two rows of the manifest have the same key.",
                remedy="Scan the source again: delete the data set's folder and rerun.",
            )

    @property
    def kept(self) -> pl.DataFrame:
        """The rows that are used."""
        return self.table.filter(pl.col("status") == "kept")


def split_labels(text: str | None) -> tuple[str, ...]:
    """Return the labels that a cell of the column `labels` lists, each once, between `;`, `|` or `,`."""
    return tuple(dict.fromkeys(tag.strip() for tag in _BETWEEN.split(text or "") if tag.strip()))
