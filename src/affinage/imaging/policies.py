"""RandAugment and TrivialAugment: a few changes drawn from one list."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

View = NDArray[np.uint8]

STRONGEST = 30
"""Magnitudes go from 0 to this, as in the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the list.

    Attributes:
        name: Of the change.
        apply: From a view and a strength to a view.
        least: Strength at magnitude 0.
        most: Strength at the largest magnitude.
        signed: Whether its opposite is drawn as often.
        moves: Whether it moves what the image shows.
    """

    name: str
    apply: Callable[[View, float], View]
    least: float = 0.0
    most: float = 0.0
    signed: bool = False
    moves: bool = False


def random_changes(
    view: View, policy: str, *, count: int, magnitude: int, chance: NDArray[np.float64]
) -> View:
    """Return the view after the changes that a policy draws.

    `randaugment` draws `count` changes of one magnitude; `trivialaugment` draws one of a random
    magnitude.

    Args:
        view: RGB, shape (height, width, 3).
        policy: `randaugment` or `trivialaugment`.
        count: For `randaugment`.
        magnitude: For `randaugment`, 0..30.
        chance: Uniform numbers in [0, 1), three for each change.

    Source:
        Cubuk et al., RandAugment, 2020; Müller and Hutter, TrivialAugment, 2021.
    """
    number = 1 if policy == "trivialaugment" else count
    for which, sign, strength in chance.reshape(-1, 3)[:number]:
        change = CHANGES[int(which * len(CHANGES))]
        share = strength if policy == "trivialaugment" else magnitude / STRONGEST
        amount = change.least + share * (change.most - change.least)
        view = change.apply(view, -amount if change.signed and sign < 0.5 else amount)
    return view


def _warp(view: View, matrix: list[list[float]]) -> View:
    """Return the view sampled at matrix · (x, y, 1) about its centre, reflected at its borders."""
    height, width = view.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    turn = np.array(matrix, dtype=np.float64)
    turn[:, 2] += centre - turn[:, :2] @ centre
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    warped = cv2.warpAffine(view, turn, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, dtype=np.uint8)


def _rotate(view: View, degrees: float) -> View:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _warp(view, [[cos, -sin, 0], [sin, cos, 0]])


def _blend(view: View, other: View, factor: float) -> View:
    return np.asarray(cv2.addWeighted(view, factor, other, 1 - factor, 0), dtype=np.uint8)


def _grey(view: View) -> View:
    grey = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(grey, dtype=np.uint8)


def _contrast(view: View, amount: float) -> View:
    mean = round(float(cv2.mean(_grey(view))[0]))
    return _blend(view, np.full_like(view, mean), 1 + amount)


_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13


def _sharpness(view: View, amount: float) -> View:
    smooth = np.asarray(cv2.filter2D(view, -1, _SMOOTH, borderType=cv2.BORDER_REFLECT))
    return _blend(view, smooth, 1 + amount)


def _posterize(view: View, bits: float) -> View:
    kept = max(1, min(8, round(bits)))
    mask = np.uint8((0xFF << (8 - kept)) & 0xFF)
    return view & mask


def _solarize(view: View, threshold: float) -> View:
    levels = np.arange(256)
    table = np.where(levels < threshold, levels, 255 - levels).astype(np.uint8)
    return np.asarray(cv2.LUT(view, table), dtype=np.uint8)


def _autocontrast(view: View, _: float) -> View:
    changed = np.empty_like(view)
    for channel in range(3):
        plane = view[..., channel]
        low, high = int(plane.min()), int(plane.max())
        if low == high:
            changed[..., channel] = plane
            continue
        table = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        changed[..., channel] = table[plane]
    return changed


def _equalize(view: View, _: float) -> View:
    """Return the view with the grey levels of each channel used alike, as Pillow does it."""
    changed = np.empty_like(view)
    for channel in range(3):
        plane = view[..., channel]
        histogram = np.bincount(plane.ravel(), minlength=256)
        filled = histogram[histogram > 0]
        step = int(filled[:-1].sum()) // 255
        before = np.concatenate([[0], np.cumsum(histogram)[:-1]])
        table = np.clip((before + step // 2) // step, 0, 255) if step else np.arange(256)
        changed[..., channel] = table.astype(np.uint8)[plane]
    return changed


CHANGES: tuple[Change, ...] = (
    Change(name="identity", apply=lambda view, _: view),
    Change(name="shear_x", apply=lambda v, s: _warp(v, [[1, s, 0], [0, 1, 0]]), most=0.3,
           signed=True, moves=True),
    Change(name="shear_y", apply=lambda v, s: _warp(v, [[1, 0, 0], [s, 1, 0]]), most=0.3,
           signed=True, moves=True),
    Change(name="translate_x", most=0.45, signed=True, moves=True,
           apply=lambda v, s: _warp(v, [[1, 0, s * v.shape[1]], [0, 1, 0]])),
    Change(name="translate_y", most=0.45, signed=True, moves=True,
           apply=lambda v, s: _warp(v, [[1, 0, 0], [0, 1, s * v.shape[0]]])),
    Change(name="rotate", apply=_rotate, most=30.0, signed=True, moves=True),
    Change(name="brightness", apply=lambda v, s: _blend(v, np.zeros_like(v), 1 + s), most=0.9,
           signed=True),
    Change(name="colour", apply=lambda v, s: _blend(v, _grey(v), 1 + s), most=0.9, signed=True),
    Change(name="contrast", apply=_contrast, most=0.9, signed=True),
    Change(name="sharpness", apply=_sharpness, most=0.9, signed=True),
    Change(name="posterize", apply=_posterize, least=8.0, most=4.0),
    Change(name="solarize", apply=_solarize, least=256.0, most=0.0),
    Change(name="autocontrast", apply=_autocontrast),
    Change(name="equalize", apply=_equalize),
)  # fmt: skip
"""The list of RandAugment with torchvision's ranges."""
