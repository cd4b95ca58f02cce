"""Cues: what a model could tell a class by without seeing what the image shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.shortcut_bytes import size_beyond_content
from affinage.auditing.shortcut_frames import frame_marks, frame_sample
from affinage.auditing.source_signs import spread

Kind = Literal["names", "numbers", "pixels"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cue:
    """One thing about an image that should not tell its class.

    Attributes:
        code: Of the finding.
        what: In words, to follow "can be told from".
        kind: Names are looked up in a table, numbers split by a tree, pixels weighed by a head.
        values: Names as indices into `names`, shape (n,), or numbers, shape (n, k).
        names: Of the values, or of the columns of numbers.
        bar: By how much more often the class must be answered for its own images than for others
            to be called a shortcut. It stands above what honest image sets show.
        rows: Positions of the images that the values are of; None for all.
    """

    code: str
    what: str
    kind: Kind
    values: NDArray[np.generic]
    names: tuple[str, ...]
    bar: float
    rows: NDArray[np.intp] | None = None


METADATA, FILE_SIZE, FRAME, SOURCE, EDGE = 0.4, 0.6, 0.6, 0.8, 0.9
"""Bars. The most that any class showed on flowers12, mushrooms4, malaria, cifar10 and pairs of their
classes: dimensions 0.30, encoding 0.19, file size 0.34, frame 0.44, mean colours of the edges 0.75 (whole
8 × 8 thumbnails 1.00: daisies are white and dandelions yellow, so these are not judged). Planted metadata
and frames showed 0.74 to 1.00 (docs/log.md)."""

THUMBNAILS = 20_000
"""Thumbnails that are looked at at most, a fair sample."""


def cues(evidence: Evidence) -> Iterator[Cue]:
    """Yield the cues that the evidence holds and that differ between images at all."""
    for cue in _all_cues(evidence):
        if len(cue.values) and (cue.values != cue.values[0]).any():
            yield cue


def _all_cues(evidence: Evidence) -> Iterator[Cue]:
    images, measures = evidence.images, evidence.measures
    yield _numbers(
        "shortcut-dimensions", "the image's width and height", _dimensions(images), METADATA
    )
    if measures is not None:
        if "bytes" in images.columns:
            beyond = pl.Series(size_beyond_content(images, measures))
            size = {"file size as a multiple of what the content explains": beyond}
            yield _numbers("shortcut-file-size", "the file's size", size, FILE_SIZE)
        saved = images.select(pl.col("format").alias("f")).with_columns(measures["encoding"])
        written = saved.select(pl.col("encoding").fill_null(pl.col("f")))["encoding"]
        yield _named("shortcut-encoding", "how the file was saved", written, METADATA)
        for column in ("camera", "software"):
            what = f"the {column} named in the file"
            yield _named(f"shortcut-{column}", what, measures[column], METADATA)
    if evidence.group is not None and evidence.group in images.columns:
        what = f"the column '{evidence.group}'"
        yield _named("shortcut-source", what, images[evidence.group], SOURCE)
    if evidence.look is not None:
        rows = frame_sample(evidence)
        marks = frame_marks(evidence, rows)
        yield _numbers("shortcut-border", "the border of the image", marks, FRAME, rows)
    edge = edge_cue(evidence)
    if edge is not None:
        yield edge


def _dimensions(images: pl.DataFrame) -> dict[str, pl.Series]:
    width, height = (images[name].cast(pl.Float64) for name in ("width", "height"))
    return {
        "width": width,
        "height": height,
        "number of pixels": width * height,
        "width per height": width / height,
    }


def _numbers(
    code: str,
    what: str,
    columns: dict[str, pl.Series],
    bar: float,
    rows: NDArray[np.intp] | None = None,
) -> Cue:
    table = [column.fill_null(-1).fill_nan(-1).to_numpy() for column in columns.values()]
    return Cue(
        code=code,
        what=what,
        kind="numbers",
        values=np.stack(table, axis=1),
        names=tuple(columns),
        bar=bar,
        rows=rows,
    )


def _named(code: str, what: str, values: pl.Series, bar: float) -> Cue:
    given = values.cast(pl.String).fill_null("none")
    names = given.unique().sort()
    index = given.replace_strict(names, pl.Series(range(len(names))), return_dtype=pl.Int64)
    return Cue(
        code=code,
        what=what,
        kind="names",
        values=index.to_numpy(),
        names=tuple(names.to_list()),
        bar=bar,
    )


def edge_cue(evidence: Evidence) -> Cue | None:
    """Return the mean colour of each side's outermost thumbnail pixels, shape (k, 12), as a cue."""
    rows, thumbs = _thumbnails(evidence)
    if not len(thumbs):
        return None
    sides = (thumbs[:, 0], thumbs[:, -1], thumbs[:, :, 0], thumbs[:, :, -1])
    colours = np.concatenate([side.mean(axis=1) for side in sides], axis=1)
    return _pixels("the mean colours of its four edges", colours, rows)


def thumbnail_cue(evidence: Evidence) -> Cue | None:
    """Return images squeezed to 8 × 8 pixels, shape (k, 192), as a cue; None without thumbnails."""
    rows, thumbs = _thumbnails(evidence)
    if not len(thumbs):
        return None
    n, side = thumbs.shape[:2]
    blocks = thumbs.reshape(n, 8, side // 8, 8, side // 8, 3).mean(axis=(2, 4))
    return _pixels("an 8 × 8 thumbnail", blocks.reshape(n, -1), rows)


def _thumbnails(evidence: Evidence) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    if evidence.thumbs is None:
        return np.zeros(0, dtype=np.intp), np.zeros((0, 8, 8, 3), dtype=np.uint8)
    rows = spread(np.ones(len(evidence.thumbs), dtype=bool), THUMBNAILS)
    return rows, evidence.thumbs[rows]


def _pixels(what: str, values: NDArray[np.floating], rows: NDArray[np.intp]) -> Cue:
    return Cue(
        code="shortcut-thumbnail",
        what=what,
        kind="pixels",
        values=(values / 255).astype(np.float32),
        names=(),
        bar=EDGE,
        rows=rows,
    )
