"""Evidence of real photographs, cut into pieces and spoilt on request."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.datasets import load_sample_image

from affinage.auditing.evidence import Evidence, gather
from affinage.imaging.hashing import thumbnail
from affinage.imaging.measure import measure
from affinage.records.measures import MEASURES

from .samples import manifest_of

SIDE = 106


def photos(count: int = 48) -> list[NDArray[np.uint8]]:
    """Return pieces of scikit-learn's photograph of a temple, below its sky."""
    photo = load_sample_image("china.jpg")
    pieces = [
        photo[top : top + SIDE, left : left + SIDE]
        for top in range(216, 427 - SIDE, SIDE // 3)
        for left in range(0, 640 - SIDE, SIDE // 3)
    ]
    return [np.ascontiguousarray(piece) for piece in pieces[:count]]


def evidence_of(images: Sequence[NDArray[np.uint8]], *rows: dict[str, object]) -> Evidence:
    """Return evidence of images under the labels "a" and "b" in turn, measured; `rows` change rows."""
    made = [
        {
            "label": "ab"[place % 2],
            "image": f"id{place:04d}",
            "path": f"{place:04d}.jpg",
            "width": image.shape[1],
            "height": image.shape[0],
            **(rows[place] if place < len(rows) else {}),
        }
        for place, image in enumerate(images)
    ]
    evidence = gather(manifest_of(*made))
    found = {
        str(row["image"]): measure(image, thumbnail(image, 4096))
        for row, image in zip(made, images, strict=True)
    }
    table = pl.DataFrame(
        [
            {"image": i, **{name: getattr(found[i], name) for name in MEASURES if name != "image"}}
            for i in evidence.ids
        ],
        schema=MEASURES,
        orient="row",
    )
    thumbs = np.stack([found[i].thumb for i in evidence.ids])
    return replace(evidence, measures=table, thumbs=thumbs)
