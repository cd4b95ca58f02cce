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


def thumbnail(pixels: NDArray[np.uint8], size: int = 160) -> bytes:
    """Return a small JPEG of an image, without EXIF or any other metadata.

    Args:
        pixels: RGB, shape (height, width, 3).
        size: Longest side of the thumbnail, pixels; a smaller image keeps its size.

    Returns:
        The bytes of a JPEG file whose sides are at least 1 pixel.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, size / max(height, width))
    small = pixels
    if scale < 1:
        sides = (max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5)))
        small = cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)
    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(small), quality=85, colorspace="RGB", colorsubsampling="420"
    )
    return bytes(encoded)
