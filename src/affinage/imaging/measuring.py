"""The decode pass: every image is read once, measured, and remembered by its content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.imaging.batches import Item, read, view_batches
from affinage.imaging.decode import DECODER_VERSION
from affinage.imaging.measure import MEASURE_VERSION, Measures, measure
from affinage.records.measures import MEASURES
from affinage.records.thumb import THUMB
from affinage.store.measure_cache import COLUMNS, THUMB_COLUMN, MeasureCache

CHUNK = 4096  # Images between two writes of the cache: what a crash can lose.
_BATCH = 64
FACTS = {"decoder": DECODER_VERSION, "measures": MEASURE_VERSION}
"""What determines a measure besides the image: give it to `MeasureCache`."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measures of some images.

    Attributes:
        table: Columns of `MEASURES`, one row for each different image, sorted by image id.
        thumbs: RGB of the whole frames squeezed to 32 × 32, shape (n, 32, 32, 3), aligned with it.
        computed: How many of them were not in the cache.
    """

    table: pl.DataFrame
    thumbs: NDArray[np.uint8]
    computed: int


def measure_all(
    items: Sequence[Item],
    *,
    threads: int,
    cache: MeasureCache | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Return the measures of the images; those that the cache lacks are computed and kept in it.

    Args:
        items: The images; of several with one id the first is read.
        threads: That read, decode and measure.
        cache: Where measures are kept; None computes all and keeps none.
        progress: Told (done, total) images.

    Raises:
        ImageError: If an image is gone, changed since the scan or cannot be read; the problem names
            its path.
    """
    wanted = {item.image: item for item in reversed(items)}
    known = cache.load(wanted) if cache is not None else pl.DataFrame(schema=COLUMNS)
    had = set(known["image"])
    missing = [wanted[image] for image in sorted(wanted.keys() - had)]
    tables = [known]
    for start in range(0, len(missing), CHUNK):
        offset = len(had) + start
        rows = _measured(
            missing[start : start + CHUNK], threads, _shifted(progress, offset, len(wanted))
        )
        if cache is not None:
            cache.add(rows)
        tables.append(rows)
    rows = pl.concat(tables).sort("image")
    thumbs = np.frombuffer(b"".join(rows[THUMB_COLUMN]), dtype=np.uint8)
    return Measured(
        table=rows.select(list(MEASURES)),
        thumbs=thumbs.reshape(-1, THUMB, THUMB, 3),
        computed=len(missing),
    )


def _measured(items: Sequence[Item], threads: int, progress: Progress | None) -> pl.DataFrame:
    """Return rows of `COLUMNS` in the order of the items."""
    found: dict[str, Measures] = {}

    def look(pixels: NDArray[np.uint8], item: Item) -> NDArray[np.uint8]:
        found[item.image] = measure(pixels, read(item))
        return found[item.image].thumb

    done = 0
    for thumbs in view_batches(items, look, batch_size=_BATCH, threads=threads):
        done += len(thumbs)
        if progress is not None:
            progress(done, len(items))
    rows = [_row(item.image, found[item.image]) for item in items]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _row(image: str, measures: Measures) -> dict[str, object]:
    numbers = {name: getattr(measures, name) for name in MEASURES if name != "image"}
    return {"image": image, **numbers, THUMB_COLUMN: measures.thumb.tobytes()}


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(offset + done, total)
