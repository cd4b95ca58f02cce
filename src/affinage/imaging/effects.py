"""Changes to a finished view: colour, blur, noise, an erased rectangle."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

View = NDArray[np.uint8]

ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = (0.3, 10 / 3)


def recolour(view: View, saturation: float, hue: float) -> View:
    """Return the view with its colours pulled from (or to) grey and turned around the colour circle.

    Args:
        view: RGB, shape (height, width, 3).
        saturation: Factor of the distance from grey; 0 is grey, 1 changes nothing.
        hue: Share of a full turn, -0.5..0.5; 0 changes nothing.
    """
    if hue:
        table = cv2.cvtColor(view, cv2.COLOR_RGB2HSV)
        shift = round(hue * 180)  # OpenCV counts hues in steps of 2 degrees.
        table[..., 0] = (table[..., 0].astype(np.int16) + shift) % 180
        view = np.asarray(cv2.cvtColor(table, cv2.COLOR_HSV2RGB), dtype=np.uint8)
    if saturation == 1:
        return view
    grey = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    blended = cv2.addWeighted(view, saturation, grey, 1 - saturation, 0)
    return np.asarray(blended, dtype=np.uint8)


def blurred(view: View, sigma: float) -> View:
    """Return the view under a Gaussian blur.

    Args:
        view: RGB, shape (height, width, 3).
        sigma: Standard deviation, pixels of the view; under 0.1 nothing changes.
    """
    if sigma < 0.1:
        return view
    return np.asarray(cv2.GaussianBlur(view, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def noisy(view: View, deviation: float, seed: int) -> View:
    """Return the view with Gaussian noise, of its own for every pixel and channel.

    Args:
        view: RGB, shape (height, width, 3).
        deviation: Standard deviation, grey levels; 0 changes nothing.
        seed: Of the noise.
    """
    if deviation <= 0:
        return view
    # PCG64 draws float32 normals three times as fast as Philox, and its seed is drawn by that.
    random = np.random.default_rng(seed)
    noise = random.standard_normal(view.shape, dtype=np.float32) * np.float32(deviation)
    return np.clip(np.rint(view + noise), 0, 255).astype(np.uint8)


def erased(view: View, area: float, aspect: float, left: float, top: float) -> View:
    """Return the view with a rectangle of its mean colour on it.

    Args:
        view: RGB, shape (height, width, 3).
        area: 0..1 between the smallest share of the area (2 %) and the largest (a third).
        aspect: 0..1 between 0.3 and 3.3, by its logarithm.
        left: 0..1, where it lies across.
        top: 0..1, where it lies down.

    Source:
        Zhong et al., Random Erasing Data Augmentation, 2020.
    """
    height, width = view.shape[:2]
    x, y, right, bottom = erased_box(height, width, area, aspect, left, top)
    changed = view.copy()
    changed[y:bottom, x:right] = np.rint(cv2.mean(view)[:3])
    return changed


def erased_box(
    height: int, width: int, area: float, aspect: float, left: float, top: float
) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of what `erased` erases of a view, pixels."""
    share = ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0])
    shape = ERASED_ASPECT[0] * (ERASED_ASPECT[1] / ERASED_ASPECT[0]) ** aspect
    across = min(width, max(1, round(math.sqrt(share * width * height * shape))))
    down = min(height, max(1, round(math.sqrt(share * width * height / shape))))
    x, y = round(left * (width - across)), round(top * (height - down))
    return x, y, x + across, y + down
