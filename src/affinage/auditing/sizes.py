"""Images whose size or shape is not that of the others: icons, strips, a photo among crops."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.standing_out import FEWEST, ordered, stands_out
from affinage.auditing.words import count
from affinage.records.finding import Finding

_TINY = 64  # Shorter side, px: less than a third of what backbones are shown.
_SMALLER = 4  # Times smaller than the median.
_LONG = 2.5  # Longer by shorter side: beyond phone photos (2.2) and cinema frames (2.4).
_LONGER = 2  # Times longer than the median shape.
_HUGE = 8  # Times larger than the median.
_ONE_SIZE, _STRANGERS = 0.9, 0.1

_TINY_HARM, _STRIP_HARM = 0.22, 0.36
"""Accuracy that a head on frozen features loses on images shrunk to a fifth or an eighth, and on images
squeezed to a third or a quarter of their width: 220 of flowers12 and mushrooms4."""


def tiny_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images of a shorter side below 64 px and a quarter of the median."""
    width, height = _sides(evidence)
    if len(width) < FEWEST:
        return
    short = np.minimum(width, height)
    middle = float(np.median(short))
    tiny = (short < _TINY) & (short * _SMALLER < middle) & ~_long(width, height)
    if tiny.any():
        yield stands_out(
            evidence,
            ordered(tiny, short),
            code="tiny-images",
            severity="note",
            what=f"tiny (half of the images have a shorter side of {middle:.0f} px or more)",
            remedy="affinage exclude DATA --finding tiny-images",
            detail=lambda place: f"{width[place]} × {height[place]}",
            harm=_TINY_HARM,
        )


def odd_aspect(evidence: Evidence) -> Iterator[Finding]:
    """Yield strips: images far longer than the others, of which a centre crop sees little."""
    width, height = _sides(evidence)
    if len(width) < FEWEST:
        return
    shape = _shape(width, height)
    strips = _long(width, height)
    if strips.any():
        yield stands_out(
            evidence,
            ordered(strips, -shape),
            code="odd-aspect",
            severity="note",
            what=f"long and narrow (half of the images are at most {np.median(shape):.2f} to 1)",
            remedy="affinage exclude DATA --finding odd-aspect",
            detail=lambda place: f"{width[place]} × {height[place]}, {shape[place]:.1f} to 1",
            harm=_STRIP_HARM,
        )


def one_size_among_others(evidence: Evidence) -> Iterator[Finding]:
    """Yield the few images of another size where all others share one, and the far larger ones."""
    width, height = _sides(evidence)
    if len(width) < FEWEST:
        return
    sizes, index, counts = np.unique(
        np.stack([width, height], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    usual = int(counts.argmax())
    long = np.maximum(width, height)
    others = long > _HUGE * np.median(long)
    what = f"far larger than the rest (half have a longer side of at most {np.median(long):.0f} px)"
    if counts[usual] >= _ONE_SIZE * len(width):
        others = index.ravel() != usual
        what = "of another size than the {:,} of {} × {}".format(counts[usual], *sizes[usual])
    if 0 < others.sum() <= _STRANGERS * len(width):
        yield stands_out(
            evidence,
            ordered(others, -np.abs(np.log(long / np.median(long)))),
            code="one-size-among-others",
            severity="note",
            what=what,
            remedy="affinage exclude DATA --finding one-size-among-others",
            detail=lambda place: (
                f"{width[place]} × {height[place]}"
                f" ({count(int(counts[index.ravel()[place]]), 'image')} of that size)"
            ),
            harm=0.0,  # Another size alone misleads no model: it tells of another origin.
        )


def _sides(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return width and height of each image, px."""
    width, height = (evidence.images[name].to_numpy() for name in ("width", "height"))
    return width.astype(np.int64), height.astype(np.int64)


def _shape(width: NDArray[np.integer], height: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the longer by the shorter side: lying or standing makes no strip."""
    shape: NDArray[np.float64] = np.maximum(width, height) / np.minimum(width, height)
    return shape


def _long(width: NDArray[np.integer], height: NDArray[np.integer]) -> NDArray[np.bool_]:
    shape = _shape(width, height)
    return (shape >= _LONG) & (shape >= _LONGER * np.median(shape))
