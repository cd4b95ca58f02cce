"""Images at half their size, by the means of pairs of pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MOST_HALVINGS = 3
"""As libjpeg does while it decodes: to an eighth."""

_SMALL = 64
"""Sides up to this are halved by their area, odd or even; longer ones lose an odd last line first."""


def halvings(height: int, width: int, side: int) -> int:
    """Return how often an image is halved so that its shorter side is not below `side`, up to 3.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        side: What must be left, pixels, at least 1.
    """
    left = max(1, min(height, width) // max(1, side))
    return min(MOST_HALVINGS, left.bit_length() - 1)


def reduced(pixels: Pixels, side: int) -> Pixels:
    """Return the whole image at a half, a quarter or an eighth of its sides, rounded up.

    Args:
        pixels: RGB, shape (height, width, 3).
        side: As `halvings` takes it; the image itself where it is not twice as long.
    """
    height, width = pixels.shape[:2]
    scale = 2 ** halvings(height, width, side)
    if scale == 1:
        return pixels
    size = (-(-width // scale), -(-height // scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def halved(pixels: Pixels, *, across: bool = True, down: bool = True) -> Pixels:
    """Return the means of pairs of pixels; an odd last line of a long side is left out."""
    height, width = pixels.shape[:2]
    if across and width > _SMALL:
        width -= width % 2
    if down and height > _SMALL:
        height -= height % 2
    size = (max(1, width // 2) if across else width, max(1, height // 2) if down else height)
    small = cv2.resize(pixels[:height, :width], size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def halving_factor(side: int) -> float:
    """Return by how much `halved` divides coordinates along a side."""
    return 2.0 if side > _SMALL else side / max(1, side // 2)
