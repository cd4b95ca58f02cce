"""Measures on disk, by the content of the image and everything else that determines them."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from affinage.records.measures import MEASURES
from affinage.store.files import write_bytes, write_json

FORMAT = 1
THUMB_COLUMN = "thumb"
COLUMNS: dict[str, pl.DataType] = {**MEASURES, THUMB_COLUMN: pl.Binary()}
"""What is kept of an image: its measures and the bytes of its thumbnail."""


class MeasureCache:
    """Measures by image id, in Parquet files that are written once and verified when read.

    A file is named by the SHA-256 of its bytes: one that was damaged or cut is known by its name.

    Args:
        root: Folder of all caches of a data set.
        facts: Everything but the image that determines a measure: versions of the decoder and of
            the measures. Another value of any of them is another cache.
    """

    def __init__(self, root: Path, facts: dict[str, str]) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        self.facts = facts
        self.folder = root / "measures" / hashlib.sha256(text.encode()).hexdigest()[:24]

    def load(self, images: Iterable[str]) -> pl.DataFrame:
        """Return the rows that are there of the images asked for: `COLUMNS`, sorted by image."""
        wanted = pl.DataFrame({"image": sorted(set(images))}, schema={"image": pl.String()})
        empty = pl.DataFrame(schema=COLUMNS)
        tables = [_read(path) for path in sorted(self.folder.glob("*.parquet"))]
        rows = pl.concat([empty, *(table for table in tables if table is not None)])
        return rows.unique("image", keep="first").join(wanted, on="image", how="semi").sort("image")

    def add(self, rows: pl.DataFrame) -> None:
        """Keep some rows of `COLUMNS`."""
        if not rows.height:
            return
        if not self.folder.exists():
            write_json(self.folder / "facts.json", self.facts)
        file = io.BytesIO()
        rows.select(list(COLUMNS)).write_parquet(file)
        data = file.getvalue()
        write_bytes(self.folder / f"{hashlib.sha256(data).hexdigest()}.parquet", data)


def _read(path: Path) -> pl.DataFrame | None:
    """Return what a file holds; a damaged one is removed, so that it is measured anew."""
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == path.stem:
            return pl.read_parquet(io.BytesIO(data))
        path.unlink()
    return None
