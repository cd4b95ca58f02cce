"""Fixed changes to a view, as strong as a recipe would draw them at most: what do they do to a label?"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.imaging.effects import blurred, noisy, recolour
from affinage.imaging.policies import CHANGES

View = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that is tried.

    Attributes:
        name: For people.
        setting: The recipe's setting that draws it.
        off: The value that turns it off.
        apply: From a view to a view of the same shape.
    """

    name: str
    setting: str
    off: str
    apply: Callable[[View], View]


def _turned(degrees: float) -> Callable[[View], View]:
    rotate = next(change.apply for change in CHANGES if change.name == "rotate")
    return lambda view: rotate(view, degrees)


def _upside_down(view: View) -> View:
    return np.ascontiguousarray(view[::-1, ::-1])


def _centre(view: View) -> View:
    """Return the half of the area in the middle, at the view's size."""
    height, width = view.shape[:2]
    side = 0.5**0.5
    down, across = max(1, round(side * height)), max(1, round(side * width))
    top, left = (height - down) // 2, (width - across) // 2
    part = view[top : top + down, left : left + across]
    return np.asarray(cv2.resize(part, (width, height)), dtype=np.uint8)


def _light(factor: float) -> Callable[[View], View]:
    return lambda view: np.asarray(cv2.convertScaleAbs(view, alpha=factor), dtype=np.uint8)


TRIALS: tuple[Trial, ...] = (
    Trial(name="horizontal flip", setting="augment.horizontal_flip", off="false",
          apply=lambda view: np.ascontiguousarray(view[:, ::-1])),
    Trial(name="vertical flip", setting="augment.vertical_flip", off="false",
          apply=lambda view: np.ascontiguousarray(view[::-1])),
    Trial(name="rotation by 15°", setting="augment.rotation", off="0", apply=_turned(15)),
    Trial(name="rotation by 45°", setting="augment.rotation", off="15", apply=_turned(45)),
    Trial(name="rotation by 180°", setting="augment.rotation", off="45", apply=_upside_down),
    Trial(name="middle half of the area", setting="augment.crop", off="1", apply=_centre),
    Trial(name="40 % darker", setting="augment.brightness", off="0", apply=_light(0.6)),
    Trial(name="40 % brighter", setting="augment.brightness", off="0", apply=_light(1.4)),
    Trial(name="without colour", setting="augment.grey", off="0",
          apply=lambda view: recolour(view, 0.0, 0.0)),
    Trial(name="colours turned by a fifth", setting="augment.hue", off="0",
          apply=lambda view: recolour(view, 1.0, 0.2)),
    Trial(name="blurred by 2 px", setting="augment.blur", off="0",
          apply=lambda view: blurred(view, 2.0)),
    Trial(name="noise of 10 %", setting="augment.noise", off="0",
          apply=lambda view: noisy(view, 25.5, 0)),
)  # fmt: skip
"""In the order in which they are shown."""
