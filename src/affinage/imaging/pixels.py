"""The pixels that a training's views are made of: as many as they can show, kept when that pays."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.augment import ASPECTS
from affinage.imaging.batches import Item, decoded
from affinage.imaging.decode import DECODER_VERSION
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings
from affinage.store.pixel_cache import PixelCache

Pixels = NDArray[np.uint8]

_SIDES = tuple(2**power * part // 2 for power in range(5, 13) for part in (2, 3))
"""32, 48, 64, 96, ...: few enough that runs with other crops share their decoded images."""


def needed_side(views: Iterable[tuple[Preprocessing, AugmentSettings]]) -> int:
    """Return how long an image's shorter side must be, for all that its views can show.

    A view of the smallest crop and the narrowest aspect then still has a pixel of the image for each
    of its own. Where nothing is cropped at random, twice the evaluation view's frame, so that it is
    hardly told from that of the whole image.

    Args:
        views: Size and changes of the views, at each size of a training.

    Returns:
        Pixels, rounded up to 32, 48, 64, 96, 128 and so on.
    """
    wanted = 1.0
    for preprocessing, settings in views:
        side = max(preprocessing.width, preprocessing.height)
        if settings.crop == 1:
            wanted = max(wanted, 2 * side / preprocessing.crop)
        else:
            wanted = max(wanted, side / math.sqrt(settings.crop * ASPECTS[0]))
    return next((side for side in _SIDES if side >= wanted), math.ceil(wanted))


def pixel_facts(side: int | None) -> dict[str, str]:
    """Return everything but the image that determines its pixels.

    Args:
        side: As `decode` takes it.
    """
    return {"decoder": DECODER_VERSION, "side": str(side)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelReader:
    """From an image to its pixels; the same with a cache and without.

    Attributes:
        side: The shorter side that is enough, pixels; None: every pixel.
        cache: Where pixels of this side are kept, or None.
    """

    side: int | None = None
    cache: PixelCache | None = None

    def __call__(self, item: Item) -> Pixels:
        """Return RGB pixels, shape (height, width, 3).

        Raises:
            ImageError: If the image is gone, changed or cannot be read; the problem names its path.
        """
        if self.cache is not None and (kept := self.cache.load(item.image)) is not None:
            return kept
        pixels = decoded(item, side=self.side)
        if self.cache is not None:
            self.cache.add(item.image, pixels)
        return pixels


def keeping(
    folder: Path,
    *,
    side: int | None,
    gigabytes: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> PixelReader:
    """Return a reader that keeps decoded images in a folder.

    Args:
        folder: Shared by all runs on the data set.
        side: As `PixelReader` takes it.
        gigabytes: At most so many; 0: none; None: as `PixelCache` sees fit.
        say: Told once, in words, where nothing more is kept.
    """
    if gigabytes == 0:
        return PixelReader(side=side)
    limit = None if gigabytes is None else round(gigabytes * 1e9)
    cache = PixelCache(folder, pixel_facts(side), limit=limit, tell=say)
    return PixelReader(side=side, cache=cache)
