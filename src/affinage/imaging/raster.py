"""What every reader of a format hands back, and the limit that all of them keep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.errors import ImageError

AGAIN = "Fetch or copy the file again, or leave it out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Pixels as a file holds them, before colour, transparency and rotation are settled.

    Attributes:
        pixels: uint8, shape (height, width, channels).
        model: "grey" (1 channel), "rgb" (3) or "cmyk" (4; 255 is full ink).
        alpha: Opacity, uint8, shape (height, width), or None where all is opaque.
        profile: The embedded ICC profile, unchecked.
        orientation: EXIF orientation, 1 to 8.
        notes: What was not plain about reading it.
    """

    pixels: NDArray[np.uint8]
    model: str
    alpha: NDArray[np.uint8] | None = None
    profile: bytes | None = None
    orientation: int = 1
    notes: tuple[str, ...] = ()


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image by the size in its header, before any pixel is allocated.

    Raises:
        ImageError: If a side is zero or there are more than `max_pixels`.
    """
    if width <= 0 or height <= 0:
        raise ImageError(f"its header says {width} × {height} pixels: there is none.", remedy=AGAIN)
    if width * height > max_pixels:
        raise ImageError(
            f"its header says {width} × {height} = {width * height / 1e6:,.0f} megapixels, more"
            f" than the limit of {max_pixels / 1e6:,.0f}.",
            remedy="Make it smaller, or leave it out.",
        )


def truncated(detail: str = "") -> ImageError:
    """Return the error for a file that ends too early."""
    return ImageError(f"truncated: the file ends before the image does{detail}.", remedy=AGAIN)


def corrupt(detail: str) -> ImageError:
    """Return the error for data that cannot be what was written."""
    return ImageError(f"corrupt: {detail}.", remedy=AGAIN)
