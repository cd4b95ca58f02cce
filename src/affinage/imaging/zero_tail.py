"""Uncompressed pixels that stop in the middle of a row: a file that was cut off and filled with zeros."""

import struct

import numpy as np

from affinage.errors import ImageError
from affinage.imaging.raster import AGAIN

LEAST_TAIL = 0.05
"""Share of the pixels that must be zeros: a slightly turned scan ends in a slanted, but thin, black edge."""

FILLED, LEFT = 0.9, 0.02
"""Share of the bytes above the cut that are not zero, and of a row that the cut must leave empty: a
black margin begins with a row, and where it follows an outline, the row above is black there too."""


def check_tail(pixels: bytes, stride: int) -> None:
    """Refuse uncompressed pixels whose rest was never written.

    Only a cut inside a row can be told from a black margin: one that falls on the end of a row, or
    on what is black anyway, is not seen.

    Args:
        pixels: Rows in the order of the file.
        stride: Bytes of a row, at least 1.

    Raises:
        ImageError: If a row with pixels stops short below one that goes on, and all after it is zero.
    """
    end = len(pixels.rstrip(b"\0"))
    tail = (len(pixels) - end) / max(1, len(pixels))
    row, column = divmod(end, stride)
    if tail < LEAST_TAIL or row < 1 or stride - column < max(8, LEFT * stride):
        return
    above = np.frombuffer(pixels, np.uint8, count=stride - column, offset=end - stride)
    begun = np.frombuffer(pixels, np.uint8, count=column, offset=end - column)
    if (above > 0).mean() >= FILLED and column and (begun > 0).mean() >= FILLED:
        raise ImageError(
            f"truncated: the last {100 * tail:.0f} % of its pixels are zeros, from within a row on.",
            remedy=AGAIN,
        )


def check_bmp_tail(data: bytes) -> None:
    """Refuse an uncompressed BMP whose rest was never written; others are left alone.

    Raises:
        ImageError: As `check_tail`.

    Source:
        Microsoft, BITMAPINFOHEADER structure.
    """
    if len(data) < 54:
        return
    start, header, width, height = struct.unpack_from("<IIii", data, 10)
    bits, packing = struct.unpack_from("<HI", data, 28)
    stride = (bits * abs(width) + 31) // 32 * 4
    if header >= 40 and packing in (0, 3) and bits >= 8 and stride:
        check_tail(data[start : start + stride * abs(height)], stride)
