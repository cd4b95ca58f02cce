"""Pictures for a report: thumbnails of images, and of pairs side by side."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from affinage.errors import ImageError
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.imaging.hashing import shrunk, side_by_side, thumbnail
from affinage.records.manifest import Manifest
from affinage.workflows.places import place

_SIDE = 150


def pictures_of(
    manifest: Manifest, wanted: Sequence[tuple[str, ...]], *, threads: int
) -> dict[tuple[str, ...], bytes]:
    """Return a JPEG of each image or pair asked for; what cannot be read any more is left out.

    Args:
        manifest: Where the images lie, the excluded ones too.
        wanted: (image id,) or (image id, image id).
        threads: Files read at once.
    """
    ids = sorted({image for one in wanted for image in one})
    rows = manifest.table.filter(pl.col("image").is_in(ids) & pl.col("width").is_not_null())
    items = {
        image: Item(image=image, path=place(manifest, source, path))
        for image, source, path in rows.sort("source", "path", descending=True)
        .select("image", "source", "path")
        .iter_rows()
    }

    def draw(one: tuple[str, ...]) -> bytes | None:
        try:
            small = [shrunk(decode(read(items[image])).pixels, 3 * _SIDE) for image in one]
        except (ImageError, KeyError):
            return None
        if len(small) == 1:
            return thumbnail(small[0])
        return thumbnail(side_by_side(small[0], small[1], _SIDE), 6 * _SIDE + 6)

    unique = list(dict.fromkeys(wanted))
    with ThreadPoolExecutor(threads) as pool:
        drawn = zip(unique, pool.map(draw, unique), strict=True)
        return {one: data for one, data in drawn if data is not None}
