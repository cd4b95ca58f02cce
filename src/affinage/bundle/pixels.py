"""From the bytes of a file to RGB pixels with Pillow alone, by the rules of training."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from affinage.errors import ImageError

MAX_PIXELS = 250_000_000
"""Largest width × height that is read, as in training."""

FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "BMP",
    "GIF",
    "TIFF",
    "PPM",
    "JPEG2000",
    "PCX",
    "TGA",
    "ICO",
)
"""What is tried: no format that runs a program or opens another file."""

_CLOSE = 2  # Grey levels: a profile that moves no colour further is sRGB by another name.
_LEVELS = np.linspace(0, 255, 9).round().astype(np.uint8)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return RGB pixels, shape (height, width, 3), of an image file.

    EXIF rotation is applied; a colour profile is converted to sRGB; transparent parts are shown on
    white; of 16 bits the high byte is kept; of several frames the first is read.

    Args:
        data: The whole file.
        max_pixels: Largest width × height, checked in the header before anything is allocated.

    Raises:
        ImageError: If it is no image, truncated, damaged, too large, or of 32 bits a channel.
    """
    if not data:
        raise _unreadable("an empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow's own warning of many pixels: the limit is ours.
            with Image.open(io.BytesIO(data), formats=_formats()) as image:
                _check_size(image, max_pixels)
                image.load()
                return np.ascontiguousarray(ImageOps.exif_transpose(_rgb(image)))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise _unreadable("not an image of a known format") from None
    except MemoryError:
        raise _unreadable("it needs more memory than there is") from None
    except Exception as error:  # noqa: BLE001 - Readers raise anything on bytes made to confuse them.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise _unreadable(f"corrupt or truncated ({reason})") from None


def _formats() -> tuple[str, ...]:
    """Return the formats that this Pillow was built with, of those that are tried."""
    Image.init()  # Returns at once from the second time on.
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise _unreadable(
            f"{image.width} × {image.height} pixels, more than the limit of {max_pixels:,}"
        )


def _rgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB on white, its EXIF rotation still to come."""
    exif = image.getexif()
    if image.mode == "F":
        image = _of_floats(image)
    elif image.mode == "I":
        raise _unreadable("of 32 bits a channel, whose scale is unknown")
    elif image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("P", "1", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    opaque = image.convert(
        {"LA": "L", "RGBA": "RGB", "La": "L", "RGBa": "RGB"}.get(image.mode, image.mode)
    )
    shown = _through_profile(opaque, image.info.get("icc_profile")) or _plainly(opaque)
    if alpha is not None:
        white = Image.new("RGB", shown.size, (255, 255, 255))
        white.paste(shown, mask=alpha)
        shown = white
    shown.info.clear()
    shown.getexif().update({tag: exif[tag] for tag in (0x0112,) if tag in exif})
    return shown


def _of_floats(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise _unreadable("of 32-bit floats that do not lie in 0 to 1, whose scale is unknown")
    return Image.fromarray((values * 255 + 0.5).astype(np.uint8))


def _plainly(image: Image.Image) -> Image.Image:
    """Return RGB by the plain rule; of ink 255 - min(255, ink + black)."""
    if image.mode != "CMYK":
        return image.convert("RGB")
    ink = np.asarray(image).astype(np.int16)
    return Image.fromarray((255 - np.minimum(255, ink[:, :, :3] + ink[:, :, 3:])).astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Return the image in sRGB; None where its profile is missing, unreadable, or sRGB by another name."""
    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}.get(image.mode)
    if not profile or space is None:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if str(source.profile.xcolor_space).strip() != space:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), image.mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
        if image.mode != "CMYK" and _moves_nothing(transform, image.mode):
            return None
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _moves_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    colours = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), axis=-1).reshape(1, -1, 3)
    lattice = Image.fromarray(colours if mode == "RGB" else np.arange(256, dtype=np.uint8)[None])
    shown = ImageCms.applyTransform(lattice, transform)
    plain = np.asarray(lattice.convert("RGB"), dtype=np.int16)
    return int(np.abs(np.asarray(shown, dtype=np.int16) - plain).max()) <= _CLOSE


def _unreadable(why: str) -> ImageError:
    return ImageError(f"{why}.", remedy="Save it again as JPEG or PNG, or leave it out.")
