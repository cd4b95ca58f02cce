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

from affinage.imaging.resize import Box, resize_box, view_box
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import AugmentSettings

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


def augment(
    pixels: NDArray[np.uint8],
    preprocessing: Preprocessing,
    settings: AugmentSettings,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return one random view of an image for training.

    The crop has a share in [settings.crop, 1] of the image's area and an aspect in [3/4, 4/3]
    relative to that of the input, both log-uniform or uniform as in the source; where the image is
    too narrow for that, the nearest that fits. `crop` 1 means off: the view is that of `prepare`, and
    with everything else off too the two are equal.

    Flips, rotation and resize are one resampling, with anti-aliasing; what a rotation takes from
    beyond the border is the image reflected there.

    Args:
        pixels: RGB, shape (height, width, 3), any size from 1 × 1.
        preprocessing: Gives the size and the filter of the view.
        settings: What may change, and how far.
        random: Of this image and epoch: see `generator`. Always 9 numbers are drawn.

    Returns:
        RGB, shape (preprocessing.height, preprocessing.width, 3).

    Source:
        Szegedy et al., Going Deeper with Convolutions, 2015, section 6, for crop and aspect.
    """
    chance = Chance(*random.random(9).tolist())
    height, width = pixels.shape[:2]
    box = (
        view_box(height, width, preprocessing)
        if settings.crop == 1
        else random_box(height, width, preprocessing, settings.crop, chance)
    )
    mirrored = settings.horizontal_flip and chance.mirrored < 0.5
    upturned = settings.vertical_flip and chance.upturned < 0.5
    degrees = (2 * chance.turn - 1) * settings.rotation
    if degrees:
        view = _rotate(pixels, box, preprocessing, degrees, mirrored=mirrored, upturned=upturned)
    else:
        view = resize_box(pixels, box, preprocessing)
        view = view[:: -1 if upturned else 1, :: -1 if mirrored else 1]
    brightness = 1 + (2 * chance.brightness - 1) * settings.brightness
    contrast = 1 + (2 * chance.contrast - 1) * settings.contrast
    return _relight(np.ascontiguousarray(view), brightness, contrast)


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


def _rotate(
    pixels: NDArray[np.uint8],
    box: Box,
    preprocessing: Preprocessing,
    degrees: float,
    *,
    mirrored: bool,
    upturned: bool,
) -> NDArray[np.uint8]:
    """Return the box turned about its centre, flipped and resized, in one warp.

    OpenCV's warp has no anti-aliasing, so the pixels that it can reach are shrunk first until one of
    them is one of the view's.
    """
    part, box = _reachable(pixels, box)
    across = (box[2] - box[0]) / preprocessing.width
    down = (box[3] - box[1]) / preprocessing.height
    height, width = part.shape[:2]
    shrink = math.sqrt(across * down)
    shrunk_width, shrunk_height = max(1, round(width / shrink)), max(1, round(height / shrink))
    if shrink > 1 and (shrunk_width, shrunk_height) != (width, height):
        part = cv2.resize(part, (shrunk_width, shrunk_height), interpolation=cv2.INTER_AREA)
    to_part = np.diag([part.shape[1] / width, part.shape[0] / height, 1.0])
    # Coordinates here are of edges, where the first pixel's centre is 0.5; OpenCV's are of centres.
    turn = math.radians(degrees)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    scale = np.diag([-across if mirrored else across, -down if upturned else down, 1.0])
    rotation = np.array(
        [
            [math.cos(turn), -math.sin(turn), centre[0]],
            [math.sin(turn), math.cos(turn), centre[1]],
            [0, 0, 1],
        ]
    )
    from_middle = _shift(-preprocessing.width / 2, -preprocessing.height / 2)
    matrix = _shift(-0.5, -0.5) @ to_part @ rotation @ scale @ from_middle @ _shift(0.5, 0.5)
    warped = cv2.warpAffine(
        part,
        matrix[:2],
        (preprocessing.width, preprocessing.height),
        flags=cv2.WARP_INVERSE_MAP | WARPS.get(preprocessing.interpolation, cv2.INTER_LINEAR),
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(warped, dtype=np.uint8)


WARPS = {"nearest": cv2.INTER_NEAREST}


def _reachable(pixels: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return the part of the image that a turn of the box can reach, and the box within it.

    Where the image ends sooner, it is the image that ends, so reflection starts at its border.
    """
    height, width = pixels.shape[:2]
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    radius = math.hypot(box[2] - box[0], box[3] - box[1]) / 2 * 1.1 + 4
    left, top = max(0, math.floor(centre[0] - radius)), max(0, math.floor(centre[1] - radius))
    right, bottom = min(width, math.ceil(centre[0] + radius)), min(height, math.ceil(centre[1] + radius))
    moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return pixels[top:bottom, left:right], moved


def _shift(across: float, down: float) -> NDArray[np.float64]:
    return np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], dtype=np.float64)


def _relight(view: NDArray[np.uint8], brightness: float, contrast: float) -> NDArray[np.uint8]:
    """Return the view times `brightness`, then stretched by `contrast` about its mean grey."""
    if brightness == 1 and contrast == 1:
        return view
    red, green, blue, _ = cv2.mean(view)
    grey = brightness * (0.299 * red + 0.587 * green + 0.114 * blue)
    levels = np.arange(256) * (brightness * contrast) + (1 - contrast) * grey
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(view, table), dtype=np.uint8)
