"""The evaluation view: what a backbone is shown when it is not being trained.

The frame is resized so that it just covers `size / crop`, and the centre of it is cut out. Only the
cut is ever computed: the filter still sees the pixels around it, so the result is that of resizing
everything first.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affinage.records.preprocessing import Interpolation, Preprocessing

FILTERS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

Box = tuple[float, float, float, float]


def prepare(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the evaluation view of an image.

    For a square input the shorter side becomes `floor(size / crop)` and the longer one follows,
    rounded down; for a rectangular one the frame becomes the smallest that covers
    `floor(height / crop)` × `floor(width / crop)`, its sides rounded to the nearest. The filter is
    Pillow's, which widens when it shrinks an image (anti-aliasing).

    Args:
        pixels: RGB, shape (height, width, 3), any size from 1 × 1.
        preprocessing: What the backbone wants.

    Returns:
        RGB, shape (preprocessing.height, preprocessing.width, 3), a copy.

    Source:
        timm's `create_transform(is_training=False)` with `crop_mode="center"`, which this follows
        to within 1 grey level.
    """
    height, width = pixels.shape[:2]
    return resize_box(pixels, view_box(height, width, preprocessing), preprocessing)


def view_box(height: int, width: int, preprocessing: Preprocessing) -> Box:
    """Return (left, top, right, bottom) of the evaluation view in pixels of the original image.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        preprocessing: What the backbone wants.
    """
    if preprocessing.whole:
        return (0, 0, width, height)
    scaled_height, scaled_width = _scaled_size(height, width, preprocessing)
    # Python's round, half to even, is what torchvision's CenterCrop uses.
    top = round((scaled_height - preprocessing.height) / 2)
    left = round((scaled_width - preprocessing.width) / 2)
    across, down = width / scaled_width, height / scaled_height
    right, bottom = left + preprocessing.width, top + preprocessing.height
    return (left * across, top * down, min(right * across, width), min(bottom * down, height))


def resize_box(
    pixels: NDArray[np.uint8], box: Box, preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    """Return a part of an image, resized to the backbone's input with anti-aliasing.

    Args:
        pixels: RGB, shape (height, width, 3).
        box: (left, top, right, bottom) in pixels, within the image; fractions are honoured.
        preprocessing: Gives the size and the filter.
    """
    # Pillow copies what it is given: hand it the box and the pixels that the filter can reach.
    height, width = pixels.shape[:2]
    reach = 4  # Lanczos reaches 3 output pixels, plus one for rounding.
    across = reach * max(1.0, (box[2] - box[0]) / preprocessing.width)
    down = reach * max(1.0, (box[3] - box[1]) / preprocessing.height)
    left, top = max(0, math.floor(box[0] - across)), max(0, math.floor(box[1] - down))
    right, bottom = min(width, math.ceil(box[2] + across)), min(height, math.ceil(box[3] + down))
    part = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    resized = part.resize(
        (preprocessing.width, preprocessing.height),
        FILTERS[preprocessing.interpolation],
        box=(box[0] - left, box[1] - top, box[2] - left, box[3] - top),
    )
    return np.array(resized)


def _scaled_size(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Return (height, width) of the whole frame after the resize."""
    wanted_height = math.floor(preprocessing.height / preprocessing.crop)
    wanted_width = math.floor(preprocessing.width / preprocessing.crop)
    if wanted_height == wanted_width:
        short, long = sorted((height, width))
        longer = int(wanted_height * long / short)
        return (wanted_height, longer) if height <= width else (longer, wanted_height)
    ratio = min(height / wanted_height, width / wanted_width)
    return (
        max(round(height / ratio), preprocessing.height),
        max(round(width / ratio), preprocessing.width),
    )
