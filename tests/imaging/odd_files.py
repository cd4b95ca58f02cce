"""Image files of every odd kind, written here byte by byte or by other libraries."""

import io
import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared/data"


def real(pattern, count=8):
    """Return some real files to parametrize a test with, or one that says why it is skipped."""
    paths = sorted(path for path in SHARED.glob(pattern) if path.suffix != ".csv")[:count]
    if not paths:
        reason = f"the development image sets are not here ({pattern})"
        return [pytest.param(pathlib.Path("none"), marks=pytest.mark.skip(reason=reason))]
    return paths


def scene(height=48, width=64, seed=0):
    """Return a smooth picture with edges and no symmetry, uint8, shape (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    random = np.random.default_rng(seed)
    layers = [128 + 100 * np.sin(5 * (a * x + b * y) + c) for a, b, c in random.random((3, 3)) * 3]
    picture = np.stack(layers, axis=-1)
    picture[: height // 3, : width // 4] = (250, 20, 30)
    picture[-height // 4 :, -width // 5 :] = (10, 240, 60)
    return np.clip(picture, 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(pixels=None, **options):
    return saved(scene() if pixels is None else pixels, "JPEG", **{"quality": 90, **options})


def chunk(name, content, *, wrong=False):
    checksum = zlib.crc32(name + content) ^ (1 if wrong else 0)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width, height, bits, colour, rows, *, before=b"", after=b"", wrong=False):
    """Return a PNG from raw rows, each with its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(rows), wrong=wrong)
        + after
        + chunk(b"IEND", b"")
    )


def rgb_png(**options):
    pixels = scene()
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels)
    return png(pixels.shape[1], pixels.shape[0], 8, 2, rows, **options)


def png16(values):
    """Return a 16-bit PNG of uint16 values, shape (height, width) or (height, width, 3)."""
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, 0 if values.ndim == 2 else 2, rows)


def tiff(values, *, photometric, extra=(), sample_format=1, bits=None, subfile=None, dng=False):
    """Return an uncompressed little-endian TIFF of one strip; values (height, width, channels)."""
    height, width, channels = values.shape
    bits = bits or values.dtype.itemsize * 8
    strip = values.tobytes()
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [8]),
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, [len(strip)]),
        (284, 3, [1]),
    ]
    if extra:
        entries.append((338, 3, list(extra)))
    entries.append((339, 3, [sample_format] * channels))
    if subfile is not None:
        entries.insert(0, (254, 4, [subfile]))
    if dng:
        entries.append((50706, 4, [1]))
    start = 8 + len(strip)
    side_place = start + 2 + 12 * len(entries) + 4
    directory, side = struct.pack("<H", len(entries)), b""
    for tag, kind, numbers in entries:
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            offset = struct.pack("<I", side_place + len(side))
            side, packed = side + packed, offset
        directory += struct.pack("<HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\x00")
    return b"II*\x00" + struct.pack("<I", start) + strip + directory + b"\x00" * 4 + side


def display_p3_like():
    """Return an ICC profile with channels swapped far from sRGB: XYZ taken for RGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_gamut():
    """Return sRGB's profile with its green primary pushed outward: an Adobe RGB of our own."""
    profile = bytearray(srgb())
    count = struct.unpack_from(">I", profile, 128)[0]
    for entry in range(count):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        if name == b"gXYZ":
            struct.pack_into(
                ">iii", profile, offset + 8, *(round(v * 65536) for v in (0.2, 0.68, 0.03))
            )
    return bytes(profile)


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def frames(count=3):
    return [Image.fromarray(scene(seed=number)) for number in range(count)]


def animation(kind):
    first, *others = frames()
    return saved(first, kind, save_all=True, append_images=others)


def cmyk_jpeg(*, adobe):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # Full cyan.
    data = saved(
        Image.fromarray(ink, "CMYK") if False else Image.frombytes("CMYK", (16, 16), ink.tobytes()),
        "JPEG",
        quality=95,
    )
    if adobe:
        return data
    place = data.index(b"\xff\xee")
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    return data[:place] + data[place + 2 + length :]


def palette_with_transparency():
    image = Image.fromarray(scene()).quantize(8)
    return saved(image, "PNG", transparency=0)


def every_kind():
    """Return name -> bytes of small files, all of them readable."""
    pixels = scene()
    grey = Image.fromarray(pixels).convert("L")
    rgba = Image.fromarray(np.dstack([pixels, pixels[..., 0]]))
    rgb = Image.fromarray(pixels)
    return {
        "jpeg": jpeg(),
        "jpeg progressive": jpeg(progressive=True),
        "jpeg grey": saved(grey, "JPEG"),
        "jpeg cmyk": cmyk_jpeg(adobe=True),
        "jpeg exif": jpeg(exif=orientation(6)),
        "jpeg icc": jpeg(icc_profile=wide_gamut()),
        "mpo": saved(rgb, "MPO", save_all=True, append_images=frames(2)),
        "png": rgb_png(),
        "png 16": png16(pixels[..., 0].astype(np.uint16) * 257),
        "png 16 rgb": png16(pixels.astype(np.uint16) * 257),
        "png la": saved(rgba.convert("LA"), "PNG"),
        "png rgba": saved(rgba, "PNG"),
        "png 1": saved(grey.convert("1"), "PNG"),
        "png palette": palette_with_transparency(),
        "apng": animation("PNG"),
        "gif": animation("GIF"),
        "webp": saved(rgb, "WEBP"),
        "webp lossless": saved(rgba, "WEBP", lossless=True),
        "webp animated": animation("WEBP"),
        "bmp": saved(rgb, "BMP"),
        "bmp palette": saved(rgb.quantize(16), "BMP"),
        "ico": saved(rgba, "ICO", sizes=[(32, 24)]),
        "tiff": saved(rgb, "TIFF"),
        "tiff pages": saved(rgb, "TIFF", save_all=True, append_images=frames(1)),
        "tiff lzw": saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": saved(rgb, "TIFF", compression="tiff_deflate"),
        "tiff jpeg": saved(rgb, "TIFF", compression="jpeg"),
        "tiff cmyk": saved(rgb.convert("CMYK"), "TIFF"),
        "tiff 1": saved(grey.convert("1"), "TIFF"),
        "tiff palette": saved(rgb.quantize(16), "TIFF"),
        "tiff 16": tiff(pixels[..., :1].astype("<u2") * 257, photometric=1),
        "tiff 16 rgb": tiff(pixels.astype("<u2") * 257, photometric=2),
        "tiff float": tiff(pixels[..., :1].astype("<f4") / 255, photometric=1, sample_format=3),
        "ppm": saved(rgb, "PPM"),
        "pgm": saved(grey, "PPM"),
        "jpeg 2000": saved(rgb, "JPEG2000"),
        "pcx": saved(rgb, "PCX"),
    }
