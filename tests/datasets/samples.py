"""Image files and manifests to try things on."""

import hashlib
from collections.abc import Iterable

import cv2
import numpy as np
import polars as pl

from affinage.records.manifest import SCHEMA, Manifest


def picture(seed: object, suffix: str = ".png", size: int = 12) -> bytes:
    digest = hashlib.sha256(str(seed).encode()).digest()
    pixels = np.resize(np.frombuffer(digest, np.uint8), (size, size, 3))
    return bytes(cv2.imencode(suffix, pixels)[1])


def manifest_of(rows: Iterable[dict[str, str | None]]) -> Manifest:
    """Return a manifest of rows with `image`, `label` and, at will, any other column."""
    listed = list(rows)
    given = dict.fromkeys(name for row in listed for name in row)
    schema = {**SCHEMA, **{name: pl.String() for name in given if name not in SCHEMA}}
    filled = [
        {
            "key": f"{number:09d}",
            "source": "s",
            "path": f"{row['label']}/{row['image']}.png",
            "status": "kept",
            "notes": "",
            "format": "PNG",
            "width": 64,
            "height": 64,
            **row,
        }
        for number, row in enumerate(listed)
    ]
    labels = sorted({str(row["label"]) for row in listed})
    return Manifest(
        table=pl.DataFrame(filled, schema=schema, orient="row"), label_order=tuple(labels)
    )
