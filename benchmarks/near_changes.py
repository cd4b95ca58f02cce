"""What people do to a photograph before they save it again: the injected near-duplicates."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.imaging.decode import decode

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]
EACH = 30
"""Images of each set that each transformation is applied to."""


def _crop(pixels: Pixels, random: np.random.Generator, keep: float = 0.75) -> Pixels:
    height, width = pixels.shape[:2]
    tall, wide = round(height * keep), round(width * keep)
    top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
    return pixels[top : top + tall, left : left + wide]


def _scaled(pixels: Pixels, factor: float) -> Pixels:
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


def _contrast(pixels: Pixels, random: np.random.Generator) -> Pixels:
    middle, factor = pixels.mean(), random.choice([0.6, 1.5])
    return np.clip((pixels - middle) * factor + middle, 0, 255).astype(np.uint8)


def _caption(pixels: Pixels, random: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    text, font = "(c) PHOTO SAMPLE", cv2.FONT_HERSHEY_SIMPLEX
    (length, _), _ = cv2.getTextSize(text, font, 1, 1)
    size = 0.9 * width / length
    place = (int(0.05 * width), int(height * random.uniform(0.3, 0.9)))
    white = (255, 255, 255)
    drawn = cv2.putText(
        pixels.copy(), text, place, font, size, white, max(1, round(3 * size)), cv2.LINE_AA
    )
    return np.asarray(drawn)


def _turn(pixels: Pixels, random: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(random.choice([-8, 8])), 1)
    return np.asarray(cv2.warpAffine(pixels, turn, (width, height)))


def _border(pixels: Pixels, random: np.random.Generator) -> Pixels:
    down, across = (round(0.12 * side) for side in pixels.shape[:2])
    level = int(random.choice([0, 255]))
    return np.pad(pixels, ((down, down), (across, across), (0, 0)), constant_values=level)


def _grey(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


CHANGES: dict[str, tuple[Change, int]] = {
    "crop to 75 % of each side": (_crop, 90),
    "resize to half": (
        lambda p, _: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 90,
    ),
    "JPEG quality 25": (lambda p, _: p, 25),
    "brightness × 0.65 or 1.35": (lambda p, r: _scaled(p, r.choice([0.65, 1.35])), 90),
    "contrast × 0.6 or 1.5": (_contrast, 90),
    "mirror": (lambda p, _: p[:, ::-1], 90),
    "caption across 90 % of the width": (_caption, 90),
    "rotation by 8°, black corners": (_turn, 90),
    "border of 12 %": (_border, 90),
    "grey": (_grey, 90),
    "blur, sigma 1/112 of the longest side": (
        lambda p, _: cv2.GaussianBlur(p, (0, 0), max(p.shape[:2]) / 112), 90,
    ),
    "crop to 85 %, mirror, × 1.2, JPEG quality 40": (
        lambda p, r: _scaled(_crop(p, r, 0.85)[:, ::-1], 1.2), 40,
    ),
}  # fmt: skip
"""Transformation and the JPEG quality it is saved with."""


def inject(folder: Path, seed: int) -> list[tuple[str, str, str]]:
    """Write changed copies into a folder of images; return (path, path of the copy, change).

    Args:
        folder: Its images, two levels below or deeper; the copies go beside their originals.
        seed: Draws the images and what is left open in a change.
    """
    random = np.random.default_rng(seed)
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"})
    made = []
    for number, (change, (apply, quality)) in enumerate(CHANGES.items()):
        for place in random.choice(len(files), EACH, replace=False).tolist():
            original = files[place]
            pixels = np.ascontiguousarray(apply(decode(original.read_bytes()).pixels, random))
            coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            copy = original.with_name(f"injected_{number}_{place}.jpg")
            copy.write_bytes(coded.tobytes())
            made.append(
                (
                    original.relative_to(folder).as_posix(),
                    copy.relative_to(folder).as_posix(),
                    change,
                )
            )
    return made
