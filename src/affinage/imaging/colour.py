"""From a file's own colours to sRGB on white, the right way up."""

import hashlib
import io
import threading

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from affinage.imaging.raster import Raster

_MODES = {"grey": "L", "rgb": "RGB", "cmyk": "CMYK"}
_CLOSE = 2  # Grey levels: a profile that moves no colour further is sRGB by another name.
_KEPT = 16  # Profiles remembered per thread.


def to_rgb(raster: Raster) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return sRGB pixels, shape (height, width, 3), C-contiguous, and what was done to get there.

    A profile is applied unless it is sRGB in all but name; one that cannot be read is left out and
    said so. Transparency is laid on white, as browsers show it. CMYK without a profile is
    converted by the plain rule 255 - min(255, ink + black). Last, the EXIF rotation is applied.
    """
    notes = list(raster.notes)
    pixels = raster.pixels
    done = False
    if raster.profile is not None:
        pixels, done = _through_profile(raster, notes)
    if not done:
        pixels = _plainly(pixels, raster.model)
    if raster.alpha is not None and int(raster.alpha.min()) < 255:
        pixels = _on_white(pixels, raster.alpha)
        notes.append("transparent parts shown on white")
    if raster.orientation != 1:
        pixels = upright(pixels, raster.orientation)
        notes.append("EXIF rotation applied")
    return np.ascontiguousarray(pixels), tuple(notes)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return the pixels turned and mirrored as EXIF orientation 1 to 8 asks."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    across = -1 if orientation in (2, 3, 6, 7) else 1
    down = -1 if orientation in (3, 4, 7, 8) else 1
    return pixels[::down, ::across]


def _plainly(pixels: NDArray[np.uint8], model: str) -> NDArray[np.uint8]:
    if model == "rgb":
        return pixels
    if model == "grey":
        grey = pixels[:, :, 0] if pixels.ndim == 3 else pixels
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2RGB), np.uint8)
    left = np.invert(pixels)
    return np.asarray(cv2.subtract(left[:, :, :3].copy(), _three(pixels[:, :, 3])), dtype=np.uint8)


def _three(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(channel[:, :, None], 3, axis=2)


def _on_white(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    white = Image.new("RGB", (pixels.shape[1], pixels.shape[0]), (255, 255, 255))
    white.paste(Image.fromarray(pixels), mask=Image.fromarray(alpha))
    return np.array(white)


class _Memory(threading.local):
    """Transforms of this thread, by profile and model; None means: nothing to do."""

    def __init__(self) -> None:
        self.transforms: dict[tuple[bytes, str], tuple[ImageCms.ImageCmsTransform | None, str]] = {}


_memory = _Memory()


def _through_profile(raster: Raster, notes: list[str]) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels through their profile and whether they are RGB now."""
    assert raster.profile is not None
    try:
        transform, note = _transform(raster.profile, raster.model)
        if note:
            notes.append(note)
        if transform is None:
            return raster.pixels, False
        pixels = raster.pixels[:, :, 0] if raster.model == "grey" else raster.pixels
        mode = _MODES[raster.model]
        shown = ImageCms.applyTransform(_image(pixels, mode), transform)
        assert shown is not None
        return np.array(shown), True
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append("unreadable colour profile ignored")
        return raster.pixels, False


def _transform(profile: bytes, model: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    key = (hashlib.sha256(profile).digest(), model)
    known = _memory.transforms.get(key)
    if known is None:
        known = _build(profile, model)
        if len(_memory.transforms) >= _KEPT:
            _memory.transforms.clear()
        _memory.transforms[key] = known
    return known


def _build(profile: bytes, model: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """Return the transform to sRGB and the note that goes with it."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(source.profile.xcolor_space).strip()
        if space != {"grey": "GRAY", "rgb": "RGB", "cmyk": "CMYK"}[model]:
            return None, f"colour profile for {space} ignored"
        mode = _MODES[model]
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
        if model != "cmyk":
            lattice = _lattice(model)
            shown = ImageCms.applyTransform(_image(lattice, mode), transform)
            assert shown is not None
            plain = _plainly(lattice, model)
            if int(np.abs(np.asarray(shown, np.int16) - plain).max()) <= _CLOSE:
                return None, ""
        name = " ".join(ImageCms.getProfileDescription(source).split())[:80] or "unnamed"
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, "unreadable colour profile ignored"
    return transform, f"ICC profile '{name}' converted to sRGB"


def _lattice(model: str) -> NDArray[np.uint8]:
    """Return colours that cover the model's space: 256 greys, or 9 × 9 × 9 colours."""
    if model == "grey":
        return np.arange(256, dtype=np.uint8)[None]
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)


def _image(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
