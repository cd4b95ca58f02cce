"""What is wrong with the look of an image: at most one thing, the gravest.

Each threshold is a limit of what people would call so, and each is lowered where the data set itself
is near it (`low_limit`). They were set on 9,324 photographs, cells and 32 px images, 50 placeholders
of web sites, and the same images with 25 faults at stated strengths; docs/log.md has the table.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.standing_out import column, low_limit

Look = Literal["blank", "dark", "drawn", "bright", "blurred", ""]

_BLANK = 0.008  # Deviation of the thumbnail: two of 255 levels.
_NOISE = 0.02  # Contrast: what noise alone may have in pixels that were not averaged.
_FAINT = 0.03  # A set whose images mostly vary less is faint by nature.
_DARK, _BRIGHT = 0.30, 0.70
_SOFT = 0.45
_FLAT, _PALETTE = 0.7, 2.1
_PALE_FLAT, _PALE_CONTRAST = 0.85, 0.03  # A drawing on white; a washed-out photo has less of both.
# Or it is fainter, but simpler still.
_PALEST_FLAT, _PALEST_PALETTE, _PALEST_CONTRAST = 0.9, 0.6, 0.015


def looks(evidence: Evidence) -> NDArray[np.str_]:
    """Return the `Look` of every image, shape (n,); "" where nothing is wrong. There must be measures."""
    found = np.full(len(evidence.ids), "", dtype="<U7")
    if len(found) == 0:
        return found
    lightest, depth = column(evidence, "lightest"), 1 - column(evidence, "darkest")
    focus = column(evidence, "focus")
    dark, bright = lightest < _DARK, depth < 1 - _BRIGHT
    # From the least grave to the gravest: a later one takes the place of an earlier one.
    found[(focus < low_limit(focus, at_most=_SOFT)) & ~dark & ~bright] = "blurred"
    found[depth < low_limit(depth, at_most=1 - _BRIGHT, deviations=4)] = "bright"
    found[_drawn(evidence, bright) & ~dark] = "drawn"
    found[lightest < low_limit(lightest, at_most=_DARK, deviations=4)] = "dark"
    found[_blank(evidence)] = "blank"
    return found


def _blank(evidence: Evidence) -> NDArray[np.bool_]:
    variation = column(evidence, "variation")
    if np.median(variation) < _FAINT:
        return np.zeros(len(variation), dtype=bool)
    return (variation < _BLANK) & (column(evidence, "contrast") < _NOISE)


def _drawn(evidence: Evidence, bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which images have large flat areas in few colours."""
    rough, palette = 1 - column(evidence, "flat"), column(evidence, "palette")
    drawn = rough < low_limit(rough, at_most=1 - _FLAT)
    drawn &= palette < low_limit(palette, at_most=_PALETTE)
    contrast = column(evidence, "contrast")
    pale = (rough < 1 - _PALE_FLAT) & (contrast > _PALE_CONTRAST)
    pale |= (rough < 1 - _PALEST_FLAT) & (palette < _PALEST_PALETTE) & (contrast > _PALEST_CONTRAST)
    return drawn & (pale | ~bright)
