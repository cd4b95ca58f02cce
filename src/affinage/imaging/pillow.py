"""The other formats, through Pillow's readers one by one.

`Image.open` is not used: it warns about honest 100-megapixel photos by a limit that belongs to the
whole process. Each reader is called directly, after the size in its header was checked.
"""

import io
import struct
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from affinage.errors import ImageError
from affinage.imaging.exif import orientation_of
from affinage.imaging.png import SIGNATURE, check_rows, take_apart
from affinage.imaging.raster import Raster, check_size, corrupt, truncated
from affinage.imaging.sniff import CONVERT
from affinage.imaging.tiff import check_layout, check_strips, read_layout
from affinage.imaging.zero_tail import check_bmp_tail

_PLAIN: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "ICO": IcoImagePlugin.IcoImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PCX": PcxImagePlugin.PcxImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
}
_ZEROS = 64  # Bytes; what ends in more of them was never written: codes have no such runs.
HIGH_BYTE = "16-bit: the high byte of each value"


def read_png(data: bytes, max_pixels: int) -> Raster:
    """Return the pixels of a PNG (of an animated one: its first image).

    Raises:
        ImageError: If it is truncated, damaged or too large. A damaged comment is left out instead.
    """
    chunks = take_apart(data)
    check_size(chunks.width, chunks.height, max_pixels)
    notes = [f"PNG chunk {name} with a wrong checksum left out" for name in chunks.skipped]
    if chunks.frames > 1:
        notes.append(f"first of {chunks.frames} frames")
    with _quiet, PngImagePlugin.PngImageFile(io.BytesIO(chunks.clean)) as image:
        if chunks.bits == 16 and image.mode != "I;16":
            notes.append(HIGH_BYTE)
        image.load()
        last = image.crop((0, image.height - 1, image.width, image.height))
        if chunks.interlaced or not np.asarray(last).any():
            check_rows(chunks)
        return _raster(image, notes, chunks.profile, chunks.orientation)


def read_webp(data: bytes, max_pixels: int) -> Raster:
    """Return the pixels of a WebP (of an animated one: its first frame).

    Raises:
        ImageError: If it is truncated, damaged or too large.
    """
    declared = 8 + int.from_bytes(data[4:8], "little")
    if declared > len(data):
        raise truncated(f": {len(data):,} of {declared:,} bytes")
    check_size(*_webp_size(data), max_pixels)
    if data.endswith(bytes(_ZEROS)):
        raise corrupt(f"it ends in {len(data) - len(data.rstrip(bytes(1)))} zero bytes")
    with _quiet, WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
        notes = [f"first of {image.n_frames} frames"] if image.n_frames > 1 else []
        exif = image.info.get("exif") or b""
        return _raster(image, notes, image.info.get("icc_profile"), orientation_of(exif))


def read_tiff(data: bytes, max_pixels: int) -> Raster:
    """Return the pixels of a TIFF's first page.

    Raises:
        ImageError: If it is truncated, damaged, too large, or its numbers have no known meaning.
    """
    layout = read_layout(data)
    check_size(layout.width, layout.height, max_pixels)
    notes = list(check_layout(layout))
    check_strips(data, layout)
    with _quiet, TiffImagePlugin.TiffImageFile(io.BytesIO(data)) as image:
        orientation = image.tag_v2.get(274, 1)
        pages = image.n_frames
        if pages > 1:
            notes.append(f"first of {pages} pages")
        profile = image.info.get("icc_profile")
        if layout.bits[0] == 16 and layout.channels > 1:
            notes.append(HIGH_BYTE)
        raster = _raster(image, notes, profile, 1)  # Pillow turns TIFFs itself.
    turned = ("EXIF rotation applied",) if orientation in range(2, 9) else ()
    return Raster(
        pixels=raster.pixels,
        model=raster.model,
        alpha=raster.alpha,
        profile=raster.profile,
        notes=raster.notes + turned,
    )


def read_plain(data: bytes, max_pixels: int, kind: str) -> Raster:
    """Return the pixels of a BMP, GIF (first frame), ICO (largest), JPEG 2000, PCX, PPM or TGA.

    Raises:
        ImageError: If it is truncated, damaged or too large.
    """
    if kind == "ICO" and (inside := _png_of_icon(data)):
        return read_png(inside, max_pixels)
    with _quiet, _PLAIN[kind](io.BytesIO(data)) as image:
        check_size(*image.size, max_pixels)
        if kind == "BMP":
            check_bmp_tail(data)
        return _raster(image, _frames(image), image.info.get("icc_profile"), 1)


def _frames(image: ImageFile.ImageFile) -> list[str]:
    if not getattr(image, "is_animated", False):
        return []
    try:
        return [f"first of {getattr(image, 'n_frames', 2)} frames"]
    except (EOFError, OSError, SyntaxError, ValueError, IndexError, struct.error):
        return ["first of several frames, a later one damaged"]
    finally:
        image.seek(0)


def _raster(
    image: Image.Image, notes: list[str], profile: bytes | None, orientation: int
) -> Raster:
    """Return what Pillow read, with values on the scale 0..255 by a stated rule."""
    image.load()
    alpha: NDArray[np.uint8] | None = None
    if image.mode == "1":
        notes.append("1-bit")
        image = image.convert("L")
    if image.mode in ("P", "PA"):
        notes.append("palette")
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    elif image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in ("LA", "RGBA"):
        alpha = np.array(image.getchannel("A"))
        colours = image.getbands()[:-1]
        channels = [np.asarray(image.getchannel(band)) for band in colours]
        pixels = np.stack(channels, axis=-1)
    elif image.mode in ("L", "RGB", "CMYK"):
        pixels = np.array(image)
    elif image.mode in ("YCbCr", "RGBX"):
        pixels = np.array(image.convert("RGB"))
    else:
        pixels = _to_bytes(image, notes)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    model = {1: "grey", 3: "rgb", 4: "cmyk"}[pixels.shape[2]]
    if model != "rgb":
        notes.append("grey" if model == "grey" else "CMYK converted")
    return Raster(
        pixels=pixels,
        model=model,
        alpha=alpha,
        profile=profile or None,
        orientation=orientation,
        notes=tuple(notes),
    )


def _to_bytes(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Return grey values of more than 8 bits on the scale 0..255."""
    values = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        highest = int(values.max())
        notes.append(HIGH_BYTE)
        if highest < 16384:
            notes.append(f"dark: its brightest value is {highest} of 65535")
        return (values >> 8).astype(np.uint8)
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            notes.append("32-bit float 0..1 scaled by 255")
            return np.rint(values * np.float32(255)).astype(np.uint8)
        raise ImageError(
            f"32-bit float values from {low:g} to {high:g}: only 0..1 has a known meaning.",
            remedy="Scale it to 0..1, or to 8 bits, yourself.",
        )
    raise ImageError(f"its pixels are of a kind that is not read ({image.mode}).", remedy=CONVERT)


def _png_of_icon(data: bytes) -> bytes | None:
    """Return the PNG that an icon's largest picture is, or None if it is a bitmap."""
    count = int.from_bytes(data[4:6], "little")
    best = (0, 0, b"")
    for entry in range(min(count, 64, (len(data) - 6) // 16)):
        width, height, _, _, _, bits, size, start = struct.unpack_from(
            "<BBBBHHII", data, 6 + 16 * entry
        )
        picture = data[start : start + size]
        best = max(best, ((width or 256) * (height or 256), bits, picture))
    return best[2] if best[2].startswith(SIGNATURE) else None


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) of a WebP's canvas.

    Source:
        RFC 9649, sections 2.5 to 2.7.
    """
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        sides = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
        return sides[0] + 1, sides[1] + 1
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise corrupt("a WebP without a header")


class _Quiet:
    """Keeps Pillow from printing warnings, in all threads, until the last reader is done.

    Only Pillow's own are hidden, and only meanwhile: what it warns of is checked here instead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._restore = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._restore.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._restore.close()


_quiet = _Quiet()
