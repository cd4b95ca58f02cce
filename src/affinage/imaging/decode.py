"""From the bytes of a file to RGB pixels, or the reason why not.

Never half an image, never another image in its place: where a format lets damage be seen, it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affinage.errors import ImageError
from affinage.imaging.colour import to_rgb
from affinage.imaging.halving import reduced
from affinage.imaging.jpeg import read_jpeg
from affinage.imaging.pillow import read_plain, read_png, read_tiff, read_webp
from affinage.imaging.raster import AGAIN, Raster, truncated
from affinage.imaging.sniff import kind_of

DECODER_VERSION = "1"
"""Part of cache keys: changes whenever the pixels of any file could."""

MAX_PIXELS = 250_000_000
"""Honest 100-megapixel photos pass; 16,000 × 16,000 zeros that unpack to gigabytes do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """An image as it is shown.

    Attributes:
        pixels: RGB, uint8, shape (height, width, 3), C-contiguous.
        format: Of the file: "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", ...
        notes: How it was read where that is not plain, such as "EXIF rotation applied".
    """

    pixels: NDArray[np.uint8]
    format: str
    notes: tuple[str, ...] = ()


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, side: int | None = None) -> Decoded:
    """Return the pixels of an image file, whatever its name says it is.

    Rules for what is not plain 8-bit RGB: EXIF rotation is applied; an ICC profile is converted to
    sRGB; transparent parts are shown on white; of 16 bits the high byte is kept (v // 256, within
    one level of v / 257); 32-bit float is read where it lies in 0..1 and refused elsewhere; of
    several frames or pages the first is read. `notes` says which of these applied.

    Args:
        data: The whole file.
        max_pixels: Largest width × height, checked in the header before anything is allocated.
        side: Shorter side that is enough, pixels: a larger image is halved up to three times while
            it stays as long (a JPEG while it is decoded, in up to a quarter of the time). None:
            every pixel.

    Raises:
        ImageError: If it is no image, truncated, damaged, too large, or of a kind whose values have
            no certain meaning; the reason is without the file's name.
    """
    kind = kind_of(data)
    try:
        pixels, notes = to_rgb(_read(data, kind, max_pixels, side))
        if side is not None and kind != "JPEG":
            pixels = reduced(pixels, side)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(
            "it needs more memory than there is.", remedy="Make it smaller, or leave it out."
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"too many pixels for a {kind}.", remedy="Make it smaller, or leave it out."
        ) from None
    except Exception as error:  # noqa: BLE001 - Readers raise anything on bytes made to confuse them.
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise truncated() from None
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"corrupt: not readable as {kind} ({reason}).", remedy=AGAIN) from None
    return Decoded(pixels=pixels, format=kind, notes=notes)


def inspect(data: bytes) -> Decoded:
    """Return what `decode` returns: only a full decode tells whether an image is whole."""
    return decode(data)


def _read(data: bytes, kind: str, max_pixels: int, side: int | None) -> Raster:
    if kind == "JPEG":
        return read_jpeg(data, max_pixels, side=side)
    if kind == "PNG":
        return read_png(data, max_pixels)
    if kind == "WEBP":
        return read_webp(data, max_pixels)
    if kind == "TIFF":
        return read_tiff(data, max_pixels)
    return read_plain(data, max_pixels, kind)
