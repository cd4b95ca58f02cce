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

from affinage.imaging.effects import blurred, erased, noisy, recolour
from affinage.imaging.policies import random_changes
from affinage.imaging.resize import Box, resize_box, view_box
from affinage.records.preprocessing import Interpolation, Preprocessing
from affinage.records.settings.augment import AugmentSettings

ASPECTS = (3 / 4, 4 / 3)

_KERNELS: dict[Interpolation, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_CUBIC,
}


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

    The crop has a share of the image's area that is uniform in [settings.crop, 1] and an aspect
    that is log-uniform in [3/4, 4/3] relative to the input's; where the image is too narrow for
    that, the nearest that fits. `crop` 1 means off: frame and filter are those of `prepare`, and
    with everything else off too the two views are equal.

    Shrinking is anti-aliased. A rotation is one warp with crop, flips and resize; what it takes
    from beyond the border is the image reflected there. Then the policy's changes, colour, light,
    blur, noise and the erased rectangle, in this order.

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
    box = (
        view_box(height, width, preprocessing)
        if settings.crop == 1
        else random_box(height, width, preprocessing, settings.crop, chance)
    )
    flips = (
        -1 if settings.horizontal_flip and chance.mirrored < 0.5 else 1,
        -1 if settings.vertical_flip and chance.upturned < 0.5 else 1,
    )
    degrees = (2 * chance.turn - 1) * settings.rotation
    if degrees:
        view = _turn(pixels, box, preprocessing, degrees, flips)
    else:
        resize = resize_box if settings.crop == 1 else _crop
        view = resize(pixels, box, preprocessing)[:: flips[1], :: flips[0]]
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


DRAWN = 35
"""Numbers for each view: 9 of the warp and the light, 11 of the other effects, 15 of the policy."""


def _colours(settings: AugmentSettings, drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the factor of the saturation and the turn of the hue."""
    saturation = 1 + (2 * drawn[0] - 1) * settings.saturation
    hue = (2 * drawn[1] - 1) * settings.hue
    return (0.0 if drawn[2] < settings.grey else float(saturation)), float(hue)


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


def _crop(pixels: NDArray[np.uint8], box: Box, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the box, to whole pixels, resized: shrunk by area means, then enlarged by the filter.

    Twice Pillow's speed. OpenCV's filters alias where they shrink, and its area means are squares
    where they enlarge, so each does what it can for the sides that need it.
    """
    left, top = round(box[0]), round(box[1])
    part = pixels[top : max(round(box[3]), top + 1), left : max(round(box[2]), left + 1)]
    height, width = part.shape[:2]
    shrunk = (min(width, preprocessing.width), min(height, preprocessing.height))
    if shrunk != (width, height):
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA)
    view = (preprocessing.width, preprocessing.height)
    if shrunk != view:
        part = cv2.resize(part, view, interpolation=_KERNELS[preprocessing.interpolation])
    return np.asarray(part, dtype=np.uint8)


def _turn(
    pixels: NDArray[np.uint8],
    box: Box,
    preprocessing: Preprocessing,
    degrees: float,
    flips: tuple[int, int],
) -> NDArray[np.uint8]:
    """Return the box turned about its centre, flipped and resized, in one warp.

    OpenCV's warp has no anti-aliasing, so the pixels that it can reach are shrunk first until one
    of them is one of the view's.

    Args:
        pixels: RGB, shape (height, width, 3).
        box: (left, top, right, bottom) in pixels.
        preprocessing: Gives the size and the filter.
        degrees: Counted as the eye sees it: positive turns the image's content anticlockwise.
        flips: -1 or 1 across and down.
    """
    part, box = _reachable(pixels, box)
    height, width = part.shape[:2]
    across = (box[2] - box[0]) / preprocessing.width
    down = (box[3] - box[1]) / preprocessing.height
    shrink = math.sqrt(across * down)
    if shrink > 1:
        shrunk = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA)
    # From the view's pixels to the part's. Coordinates are of edges, where the first pixel's centre
    # is 0.5, between the outer two steps; OpenCV's are of centres.
    turn = math.radians(degrees)
    rotation = np.diag([0.0, 0.0, 1.0])
    rotation[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    matrix = (
        _shift(-0.5, -0.5)
        @ _stretch(part.shape[1] / width, part.shape[0] / height)
        @ _shift((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        @ rotation
        @ _stretch(flips[0] * across, flips[1] * down)
        @ _shift(0.5 - preprocessing.width / 2, 0.5 - preprocessing.height / 2)
    )
    warped = cv2.warpAffine(
        part,
        matrix[:2],
        (preprocessing.width, preprocessing.height),
        flags=cv2.WARP_INVERSE_MAP | _warp_kernel(preprocessing.interpolation),
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(warped, dtype=np.uint8)


def _warp_kernel(interpolation: Interpolation) -> int:
    """Return OpenCV's filter for a warp: linear, as its cubic takes 3 times as long."""
    return cv2.INTER_NEAREST if interpolation == "nearest" else cv2.INTER_LINEAR


def _reachable(pixels: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return the part of the image that a turn of the box can reach, and the box within it.

    Where the image ends sooner, it is the image that ends, so reflection starts at its border.
    """
    height, width = pixels.shape[:2]
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    # Beyond the corners: what the filter reaches, 2 pixels of the view or of the image.
    radius = math.hypot(box[2] - box[0], box[3] - box[1]) / 2 * 1.05 + 4
    left, top = max(0, math.floor(centre[0] - radius)), max(0, math.floor(centre[1] - radius))
    right = min(width, math.ceil(centre[0] + radius))
    bottom = min(height, math.ceil(centre[1] + radius))
    moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return pixels[top:bottom, left:right], moved


def _stretch(across: float, down: float) -> NDArray[np.float64]:
    return np.diag([across, down, 1.0])


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
