"""What an image is called, and what of it a report may show."""

import hashlib
import math

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray


def content_id(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits: the identity of an image."""
    return hashlib.sha256(data).hexdigest()


def shrunk(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an image with a longest side of at most `size` px, its shape kept; a smaller one as it is.

    Args:
        pixels: RGB, shape (height, width, 3).
        size: Pixels, at least 1.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, size / max(height, width))
    if scale == 1:
        return pixels
    sides = (max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5)))
    return np.asarray(cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def thumbnail(pixels: NDArray[np.uint8], size: int = 160) -> bytes:
    """Return a small JPEG of an image, without EXIF or any other metadata.

    Args:
        pixels: RGB, shape (height, width, 3).
        size: Longest side of the thumbnail, pixels; a smaller image keeps its size.

    Returns:
        The bytes of a JPEG file whose sides are at least 1 pixel.
    """
    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(shrunk(pixels, size)),
        quality=85,
        colorspace="RGB",
        colorsubsampling="420",
    )
    return bytes(encoded)


def side_by_side(
    first: NDArray[np.uint8], second: NDArray[np.uint8], height: int = 150
) -> NDArray[np.uint8]:
    """Return two images beside each other at one height, with a white gap, as one RGB image.

    Args:
        first: RGB, shape (height, width, 3).
        second: The same, of any size.
        height: Of the result, px; wide images are cut to three times it.
    """
    gap = np.full((height, 6, 3), 255, np.uint8)
    sized = []
    for pixels in (first, second):
        width = min(3 * height, max(1, round(pixels.shape[1] * height / pixels.shape[0])))
        sized.append(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return np.concatenate([sized[0], gap, sized[1]], axis=1)
