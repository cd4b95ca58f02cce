"""What the checks want to know of an image's pixels, in about the time that decoding it takes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.imaging.encoding import encoding_of
from affinage.imaging.origin import origin_of
from affinage.imaging.sniff import kind_of
from affinage.records.thumb import THUMB

MEASURE_VERSION = "2"
"""Part of cache keys: changes whenever a measure of any image could."""

LONGEST = 256
"""Longest side at which an image is measured, px: its look must not depend on the camera's pixels."""

_DARK = 20  # Luma below 0.08 × 255.
_BRIGHT = 245  # Luma above 0.96 × 255.
_QUIET = 2.0  # Squared levels: what rounding to 8 bits leaves of a slope that is none.
_LEVELS = np.arange(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """An image in numbers; `records.measures.MEASURES` says what each of them is.

    Attributes:
        thumb: RGB of the whole frame squeezed to 32 × 32, shape (32, 32, 3).
    """

    brightness: float
    contrast: float
    dark: float
    bright: float
    sharpness: float
    colour: float
    entropy: float
    hash: int
    camera: str | None
    software: str | None
    encoding: str
    focus: float
    flat: float
    palette: float
    darkest: float
    lightest: float
    variation: float
    tint: float
    thumb: NDArray[np.uint8]


def measure(pixels: NDArray[np.uint8], data: bytes) -> Measures:
    """Return the measures of an image.

    Args:
        pixels: RGB, shape (height, width, 3), any size from 1 × 1.
        data: The file that they come from; only its headers are read.

    Raises:
        ImageError: If `data` is no image.
    """
    look, thumb = _seen(pixels)
    kind = kind_of(data)
    origin = origin_of(data, kind)
    return Measures(
        **look,
        hash=perceptual_hash(thumb),
        camera=origin.camera,
        software=origin.software,
        encoding=encoding_of(data, kind),
        thumb=thumb,
    )


def appearance(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return what of `measure` the pixels alone say in a number, without the hash: in two thirds of its time.

    Args:
        pixels: RGB, shape (height, width, 3), any size from 1 × 1.
    """
    return _seen(pixels)[0]


def _seen(pixels: NDArray[np.uint8]) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Return the numbers of an image by name, and its thumbnail."""
    small = _shrunk(pixels)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    shares = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel() / luma.size
    mean = float(shares @ _LEVELS)
    sharpness, focus, flat = _texture(luma)
    thumb = _thumb(small)
    darkest, lightest = _ends(thumb)
    numbers = {
        "brightness": mean / 255,
        "contrast": float(shares @ (_LEVELS - mean) ** 2) ** 0.5 / 255,
        "dark": float(shares[: _DARK + 1].sum()),
        "bright": float(shares[_BRIGHT:].sum()),
        "sharpness": sharpness,
        "colour": float(cv2.mean(_spread(small))[0]) / 255,
        "entropy": _entropy(shares),
        "focus": focus,
        "flat": flat,
        "palette": _palette(small),
        "darkest": darkest,
        "lightest": lightest,
        "variation": float(cv2.meanStdDev(thumb)[1].max()) / 255,
        "tint": float(_spread(thumb).max()) / 255,
    }
    return numbers, thumb


def perceptual_hash(thumb: NDArray[np.uint8]) -> int:
    """Return 64 bits that change little when an image is recompressed, resized or brightened.

    A bit says whether a coefficient is above the median of its 64. Of a frame of one colour only
    the first bit is set.

    Args:
        thumb: RGB of the whole frame, shape (32, 32, 3).

    Source:
        Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section
        3.2.1, with the lowest 8 × 8 coefficients, the mean among them.
    """
    luma = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lowest = cv2.dct(luma)[:8, :8].ravel()
    lowest[np.abs(lowest) < 1e-2] = 0  # What is left of zero after rounding has no sign.
    return int.from_bytes(np.packbits(lowest > np.median(lowest)).tobytes(), "big")


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image at a longest side of at most 256 px; a smaller one as it is.

    Averaging whole blocks and then interpolating by less than two is several times faster than
    averaging areas in one step, and aliases hardly more.
    """
    height, width = pixels.shape[:2]
    block = max(height, width) // LONGEST
    if block > 1:
        sides = max(1, width // block), max(1, height // block)
        whole = pixels[: sides[1] * block, : sides[0] * block]
        pixels = np.asarray(cv2.resize(whole, sides, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        height, width = pixels.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return pixels
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, sides, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _thumb(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the frame squeezed to 32 × 32, by interpolation to a multiple of it, then blocks."""
    height, width = small.shape[:2]
    sides = max(1, width // THUMB) * THUMB, max(1, height // THUMB) * THUMB
    near = cv2.resize(small, sides, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(near, (THUMB, THUMB), interpolation=cv2.INTER_AREA), np.uint8)


def _texture(luma: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return sharpness, focus and flatness.

    Focus divides how much the slope changes by the slope: it tells a blurred edge from a sharp one
    whatever the contrast, and a sharp flower before a soft meadow from a soft flower. A shaken image
    is soft in one direction, so the softer of two counts.
    """
    if min(luma.shape) < 2:
        return 0.0, 0.0, 1.0
    here, right, below = luma[:-1, :-1], luma[:-1, 1:], luma[1:, :-1]
    across, down = cv2.absdiff(here, right), cv2.absdiff(here, below)
    across_twice = cv2.Sobel(luma, cv2.CV_16S, 2, 0, ksize=1)
    down_twice = cv2.Sobel(luma, cv2.CV_16S, 0, 2, ksize=1)
    focus = min(
        _energy(across_twice) / (_energy(across) + _QUIET),
        _energy(down_twice) / (_energy(down) + _QUIET),
    )
    flat = cv2.countNonZero(cv2.inRange(cv2.max(across, down), 0, 1)) / across.size
    return _energy(cv2.add(across_twice, down_twice)) / 255**2, focus, flat


def _energy(values: NDArray[np.integer]) -> float:
    """Return the mean of the squares."""
    return float(cv2.norm(values, cv2.NORM_L2SQR)) / values.size


def _spread(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest minus the smallest channel of each pixel."""
    red, green, blue = cv2.split(pixels)
    largest, smallest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(largest, smallest), dtype=np.uint8)


def _ends(thumb: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the luma of a thumbnail's darkest and lightest 2 %: a lamp or a crow is less."""
    luma = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)
    below = np.cumsum(np.bincount(luma.ravel(), minlength=256))
    darkest, lightest = np.searchsorted(below, (0.02 * luma.size, 0.98 * luma.size))
    return float(darkest) / 255, float(lightest) / 255


def _palette(small: NDArray[np.uint8]) -> float:
    if min(small.shape[:2]) > LONGEST // 2:
        small = small[::4]  # A quarter of so many pixels is enough.
    counts = cv2.calcHist([small], [0, 1, 2], None, [16, 16, 16], [0, 256] * 3).ravel()
    return _entropy(counts[counts > 0] / (small.shape[0] * small.shape[1]))


def _entropy(shares: NDArray[np.floating]) -> float:
    """Return the entropy of a distribution, bits."""
    present = shares[shares > 0].astype(np.float64)
    return max(0.0, float(-(present @ np.log2(present))))
