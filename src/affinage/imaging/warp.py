"""One warp from an image to a view: crop, flips, rotation and scale at once, anti-aliased.

OpenCV's warp looks at four pixels wherever it lands, so an image that is shrunk by it would show
patterns that are not there. Here the image is halved while a step of the view is more than three of
its pixels, and what is left is done by three taps across and down, chosen by the step.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.imaging.halving import halved, halving_factor
from affinage.imaging.resize import Box
from affinage.records.preprocessing import Interpolation, Preprocessing

Pixels = NDArray[np.uint8]

_LONGEST = 3.0
"""Step of a view, in pixels of the image, that three taps can do: with 1/3 each they are its mean."""

_TAPS: dict[Interpolation, tuple[float, float]] = {
    "bilinear": (1 / 11, -1 / 11),
    "bicubic": (0.078, -0.14),
    "lanczos": (0.10, -0.23),
}
"""(a, b): the outer taps for a step of s pixels are a·s² + b; measured, see `outer_tap`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where in an image a view looks.

    Attributes:
        box: (left, top, right, bottom) in pixels of the image.
        degrees: Counted as the eye sees it: positive turns the image's content anticlockwise.
        flips: -1 or 1 across and down.
    """

    box: Box
    degrees: float = 0.0
    flips: tuple[int, int] = (1, 1)


def placement_matrix(placement: Placement, preprocessing: Preprocessing) -> NDArray[np.float64]:
    """Return the affine matrix, shape (2, 3), from the view's pixels (x, y, 1) to the image's.

    Coordinates are of edges: the first pixel reaches from 0 to 1, its centre is 0.5.
    """
    left, top, right, bottom = placement.box
    across = (right - left) / preprocessing.width * placement.flips[0]
    down = (bottom - top) / preprocessing.height * placement.flips[1]
    turn = math.radians(placement.degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = np.array([[cos * across, -sin * down, 0.0], [sin * across, cos * down, 0.0]])
    middle = np.array([preprocessing.width / 2, preprocessing.height / 2])
    matrix[:, 2] = np.array([(left + right) / 2, (top + bottom) / 2]) - matrix[:, :2] @ middle
    return matrix


def warp(pixels: Pixels, placement: Placement, preprocessing: Preprocessing) -> Pixels:
    """Return the view that looks at a placement; beyond the image's border, its reflection.

    Args:
        pixels: RGB, shape (height, width, 3).
        placement: Where to look.
        preprocessing: Gives the size and the filter.

    Returns:
        RGB, shape (preprocessing.height, preprocessing.width, 3), within 5 grey levels (root mean
        square, photographs) of Pillow's anti-aliased resize where nothing is turned.
    """
    matrix = placement_matrix(placement, preprocessing)
    part, matrix = _reachable(pixels, matrix, preprocessing)
    nearest = preprocessing.interpolation == "nearest"
    if not nearest:
        part, matrix = _smoothed(part, matrix, preprocessing.interpolation)
    # OpenCV's coordinates are of pixels' centres, not of edges.
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    four = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)  # Four channels are warped in half the time.
    warped = cv2.warpAffine(
        four,
        matrix,
        (preprocessing.width, preprocessing.height),
        flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR),
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def outer_tap(step: float, interpolation: Interpolation) -> float:
    """Return the outer of three taps for views whose pixels are `step` pixels of the image apart.

    Taps below 0 sharpen: up to a step of 1.3 for bicubic and 1.5 for Lanczos, the warp's linear filter
    is softer than these.

    Args:
        step: Pixels, up to 3; below 1 it counts as 1.
        interpolation: The filter to come near to.

    Source:
        For bilinear, equal variances of the filters: a triangle stretched by s has s² / 6, the
        linear warp 1 / 6, taps (a, 1 - 2a, a) have 2a; 1/11 in place of 1/12, bicubic and Lanczos
        by least squares against Pillow's resize of 25 photographs at seven steps.
    """
    slope, start = _TAPS[interpolation]
    return max(-0.06, min(1 / 3, slope * max(1.0, step) ** 2 + start))


def _smoothed(
    part: Pixels, matrix: NDArray[np.float64], interpolation: Interpolation
) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the part halved and filtered for its step, and the matrix that goes with it."""
    matrix = matrix.copy()
    while True:
        steps = np.hypot(matrix[:, 0], matrix[:, 1])
        across, down = (bool(step > _LONGEST) for step in steps)
        height, width = part.shape[:2]
        across, down = across and width > 1, down and height > 1
        if not (across or down):
            break
        part = halved(part, across=across, down=down)
        # A long side lost an odd line, a short one was squeezed: the centres stay 2 apart or more.
        matrix[0] /= halving_factor(width) if across else 1
        matrix[1] /= halving_factor(height) if down else 1
    taps = [outer_tap(float(step), interpolation) for step in steps]
    whole = np.round(matrix)  # As np.allclose, in a sixth of the time.
    on_pixels = bool((np.abs(matrix - whole) <= 1e-6 + 1e-5 * np.abs(whole)).all())
    if (
        not on_pixels and max(abs(tap) for tap in taps) >= 0.02
    ):  # Less changes nothing that is seen.
        kernels = [np.array([tap, 1 - 2 * tap, tap], dtype=np.float32) for tap in taps]
        filtered = cv2.sepFilter2D(part, -1, kernels[0], kernels[1], borderType=cv2.BORDER_REFLECT)
        part = np.asarray(filtered, dtype=np.uint8)
    return part, matrix


def _reachable(
    pixels: Pixels, matrix: NDArray[np.float64], preprocessing: Preprocessing
) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the part of the image that the view can see, and the matrix into it.

    Where the image ends sooner, it is the image that ends, so reflection starts at its border.
    """
    height, width = pixels.shape[:2]
    ends = np.array([[0, preprocessing.width, 0, preprocessing.width],
                     [0, 0, preprocessing.height, preprocessing.height], [1, 1, 1, 1]])  # fmt: skip
    corners = matrix @ ends
    # What the filters reach: 3 pixels of the view and 3 of the image.
    margin = 3 + 3 * np.hypot(matrix[:, 0], matrix[:, 1])
    low = np.floor(corners.min(axis=1) - margin).astype(int)
    high = np.ceil(corners.max(axis=1) + margin).astype(int)
    left, top = max(0, min(low[0], width - 1)), max(0, min(low[1], height - 1))
    right, bottom = min(width, max(high[0], left + 1)), min(height, max(high[1], top + 1))
    moved = matrix.copy()
    moved[:, 2] -= (left, top)
    return pixels[top:bottom, left:right], moved
