"""Changes to training images that keep their label: another crop, a mirror, a turn, other light.

Every number is drawn from (seed, epoch, image, draw) and none depends on another setting, so two
runs that differ in one setting see the same crops, and threads change nothing.
"""

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.imaging.effects import blurred, erased, erased_box, noisy, recolour
from affinage.imaging.policies import random_changes
from affinage.imaging.resize import Box, resize_box, view_box
from affinage.imaging.warp import Placement, placement_matrix, warp
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

ASPECTS = (3 / 4, 4 / 3)


def generator(seed: int, epoch: int, image: str, draw: int = 0) -> np.random.Generator:
    """Return the random numbers of one view of one image.

    Args:
        seed: Of the recipe.
        epoch: Of the training.
        image: Identity of the image, by content.
        draw: Which of several views of it within one epoch.

    Source:
        Philox4x64-10 of Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011, whose
        key here is a hash of the arguments.
    """
    name = f"{seed}/{epoch}/{draw}/{image}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


@dataclass(frozen=True, slots=True)
class Chance:
    """The numbers of one view, each uniform in [0, 1)."""

    mirrored: float
    upturned: float
    area: float
    aspect: float
    left: float
    top: float
    turn: float
    brightness: float
    contrast: float


def augment(
    pixels: NDArray[np.uint8],
    preprocessing: Preprocessing,
    settings: AugmentSettings,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return one random view of an image for training.

    The crop has a share of the image's area that is uniform in [settings.crop, 1] and an aspect
    that is log-uniform in [3/4, 4/3] relative to the input's; where the image is too narrow for
    that, the nearest that fits. `crop` 1 means off: frame and filter are those of `prepare`, and
    with everything else off too the two views are equal.

    Crop, flips, rotation and scale are one warp, anti-aliased; what it takes from beyond the border
    is the image reflected there. With `exact` an upright crop is Pillow's resize instead. Then the
    policy's changes, colour, light, blur, noise and the erased rectangle, in this order.

    Args:
        pixels: RGB, shape (height, width, 3), any size from 1 × 1.
        preprocessing: Gives the size and the filter of the view.
        settings: What may change, and how far.
        random: Of this image and epoch: see `generator`. Always 35 numbers are drawn.

    Returns:
        RGB, shape (preprocessing.height, preprocessing.width, 3).

    Source:
        Szegedy et al., Going Deeper with Convolutions, 2015, section 6, for crop and aspect.
    """
    drawn = random.random(DRAWN)
    chance = Chance(*drawn[:9].tolist())
    height, width = pixels.shape[:2]
    placement = _placement(height, width, preprocessing, settings, chance)
    if (settings.crop == 1 or settings.exact) and not placement.degrees:
        across, down = placement.flips
        view = resize_box(pixels, placement.box, preprocessing)[::down, ::across]
    else:
        view = warp(pixels, placement, preprocessing)
    brightness = 1 + (2 * chance.brightness - 1) * settings.brightness
    contrast = 1 + (2 * chance.contrast - 1) * settings.contrast
    view = np.ascontiguousarray(view)
    if settings.policy != "none":
        view = random_changes(
            view, settings.policy, count=settings.policy_changes,
            magnitude=settings.policy_magnitude, chance=drawn[20:],
        )  # fmt: skip
    view = recolour(view, *_colours(settings, drawn[9:12]))
    view = _relight(view, brightness, contrast)
    view = blurred(view, settings.blur * drawn[12])
    view = noisy(view, 255 * settings.noise * drawn[13], int(drawn[14] * 2**32))
    if drawn[15] < settings.erase:
        view = erased(view, *drawn[16:20].tolist())
    return view


def view_matrix(
    height: int,
    width: int,
    preprocessing: Preprocessing,
    settings: AugmentSettings,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return where `augment` looks: the affine matrix from a view's pixels to its image's.

    A point (x, y) of the view shows the image at matrix @ (x, y, 1). Coordinates are of edges: the
    first pixel reaches from 0 to 1. A policy's own moves (`augment.policy`) are not in it.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        preprocessing: Gives the size of the view.
        settings: What may change, and how far.
        random: A generator in the state in which `augment` is given it; as many numbers are drawn.

    Returns:
        Shape (2, 3).
    """
    chance = Chance(*random.random(DRAWN)[:9].tolist())
    return placement_matrix(
        _placement(height, width, preprocessing, settings, chance), preprocessing
    )


def erased_part(
    preprocessing: Preprocessing, settings: AugmentSettings, random: np.random.Generator
) -> Box | None:
    """Return (left, top, right, bottom) of what `augment` erases, px of the view; None for nothing.

    Args:
        preprocessing: Gives the size of the view.
        settings: What may change.
        random: A generator in the state in which `augment` is given it.
    """
    drawn = random.random(DRAWN)
    if drawn[15] >= settings.erase:
        return None
    return erased_box(preprocessing.height, preprocessing.width, *drawn[16:20].tolist())


def _placement(
    height: int,
    width: int,
    preprocessing: Preprocessing,
    settings: AugmentSettings,
    chance: Chance,
) -> Placement:
    """Return where the view looks by the numbers drawn."""
    return Placement(
        box=view_box(height, width, preprocessing)
        if settings.crop == 1
        else random_box(height, width, preprocessing, settings.crop, chance),
        degrees=(2 * chance.turn - 1) * settings.rotation,
        flips=(
            -1 if settings.horizontal_flip and chance.mirrored < 0.5 else 1,
            -1 if settings.vertical_flip and chance.upturned < 0.5 else 1,
        ),
    )


DRAWN = 35
"""Numbers for each view: 9 of the warp and the light, 11 of the other effects, 15 of the policy."""


def _colours(settings: AugmentSettings, drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the factor of the saturation and the turn of the hue."""
    saturation = 1 + (2 * drawn[0] - 1) * settings.saturation
    hue = (2 * drawn[1] - 1) * settings.hue
    return (0.0 if drawn[2] < settings.grey else float(saturation)), float(hue)


def random_box(
    height: int, width: int, preprocessing: Preprocessing, crop: float, chance: Chance
) -> Box:
    """Return (left, top, right, bottom) of a random crop, in pixels, within the image.

    Nothing is tried until it fits: the range of aspects is cut to what fits the drawn area, and
    where none does, the area is cut to the largest that fits the nearest aspect.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        preprocessing: Gives the aspect of the input.
        crop: Smallest share of the image's area, in (0, 1].
        chance: Its `area`, `aspect`, `left` and `top` are used.
    """
    share = crop + (1 - crop) * chance.area
    natural = preprocessing.width / preprocessing.height
    lowest, highest = ASPECTS[0] * natural, ASPECTS[1] * natural
    narrowest = share * width / height  # A box as high as the image.
    widest = width / height / share  # A box as wide as the image.
    low, high = max(lowest, narrowest), min(highest, widest)
    if low <= high:
        aspect = low * (high / low) ** chance.aspect
    else:
        aspect = highest if narrowest > highest else lowest
    area = min(share * width * height, width * width / aspect, height * height * aspect)
    box_width = min(math.sqrt(area * aspect), width)
    box_height = min(math.sqrt(area / aspect), height)
    left, top = chance.left * (width - box_width), chance.top * (height - box_height)
    return (left, top, min(left + box_width, width), min(top + box_height, height))


def _relight(view: NDArray[np.uint8], brightness: float, contrast: float) -> NDArray[np.uint8]:
    """Return the view times `brightness`, then stretched by `contrast` about its mean grey."""
    if brightness == 1 and contrast == 1:
        return view
    red, green, blue, _ = cv2.mean(view)
    grey = brightness * (0.299 * red + 0.587 * green + 0.114 * blue)
    levels = np.arange(256) * (brightness * contrast) + (1 - contrast) * grey
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(view, table), dtype=np.uint8)
