"""JPEG, read by libjpeg-turbo with its warnings taken as errors.

Without that, a JPEG whose middle was overwritten or whose tail is zeros decodes to an image that is
half grey, and nobody is told.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from affinage.errors import ImageError
from affinage.imaging.exif import orientation_of
from affinage.imaging.halving import halvings
from affinage.imaging.raster import Raster, check_size, corrupt, truncated
from affinage.imaging.sniff import CONVERT

MAX_SCANS = 1000  # Honest progressive files have about ten; each costs a pass over all pixels.

_FRAMES = frozenset(
    (0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF)
)
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_START_OF_SCAN, _END, _ADOBE, _EXIF, _ICC = 0xDA, 0xD9, 0xEE, 0xE1, 0xE2


@dataclass(slots=True)
class Header:
    """What the segments before the first scan say."""

    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 8
    lossless: bool = False
    sequential: bool = False
    adobe: bool = False
    orientation: int = 1
    profile: bytes | None = None
    end: int = 0


def read_jpeg(data: bytes, max_pixels: int, *, side: int | None = None) -> Raster:
    """Return the pixels of a JPEG (of a multi-picture file: the first).

    Args:
        data: The whole file.
        max_pixels: Largest width × height.
        side: Shorter side that is enough, pixels: a larger image is decoded to a half, a quarter or
            an eighth of its sides. All of the file is still read, and damage anywhere is seen.

    Raises:
        ImageError: If it is truncated, damaged, too large or of a rare kind that is not read.
    """
    header = read_header(data)
    check_size(header.width, header.height, max_pixels)
    if header.bits != 8 or header.lossless:
        kind = "lossless" if header.lossless else f"{header.bits}-bit"
        raise ImageError(f"a {kind} JPEG, which is not read.", remedy=CONVERT)
    if _line_ends_converted(data, header.end):
        raise corrupt("its line ends were converted on the way, as if it were a text")
    if not _in_one_scan(data, header) and data.count(b"\xff\xda") > MAX_SCANS:
        raise ImageError(
            f"a JPEG of more than {MAX_SCANS} scans, made to waste time.", remedy="Leave it out."
        )
    scale = 2 ** halvings(header.height, header.width, side) if side is not None else 1
    notes = ("grey",) if header.channels == 1 else ()
    if header.channels == 4:
        ink = _decode(data, "CMYK", header, scale)
        # Adobe's programs store CMYK inverted and say so by their marker.
        ink = np.invert(ink) if header.adobe else ink
        return Raster(
            pixels=ink,
            model="cmyk",
            profile=header.profile,
            orientation=header.orientation,
            notes=("CMYK converted",),
        )
    model = "grey" if header.channels == 1 and header.profile else "rgb"
    return Raster(
        pixels=_decode(data, "GRAY" if model == "grey" else "RGB", header, scale),
        model=model,
        profile=header.profile,
        orientation=header.orientation,
        notes=notes,
    )


def read_header(data: bytes) -> Header:
    """Return what the segments before the first scan say.

    Raises:
        ImageError: If the segments do not lead to a frame.
    """
    header = Header()
    profile: dict[int, bytes] = {}
    for marker, start, stop in _segments(data):
        header.end = stop
        if marker in _FRAMES:
            if stop - start < 6:
                raise corrupt("a JPEG frame header that is too short")
            header.bits, header.height, header.width, header.channels = struct.unpack_from(
                ">BHHB", data, start
            )
            header.sequential = marker in (0xC0, 0xC1)
            header.lossless = marker in (0xC3, 0xC7, 0xCB, 0xCF)
        elif marker == _EXIF and data.startswith(b"Exif\x00\x00", start):
            header.orientation = orientation_of(data[start:stop])
        elif marker == _ADOBE and data.startswith(b"Adobe", start):
            header.adobe = True
        elif marker == _ICC and data.startswith(b"ICC_PROFILE\x00", start) and stop - start > 14:
            profile[data[start + 12]] = data[start + 14 : stop]
    if not header.channels:
        raise corrupt("a JPEG without a frame header")
    if profile:
        header.profile = b"".join(profile[number] for number in sorted(profile))
    return header


def _in_one_scan(data: bytes, header: Header) -> bool:
    """Return whether libjpeg reads one scan only: a sequential file whose first has all channels."""
    start = header.end
    scan = data[start : start + 2] == bytes((0xFF, _START_OF_SCAN))
    return header.sequential and scan and data[start + 4 : start + 5] == bytes((header.channels,))


def _line_ends_converted(data: bytes, start: int) -> bool:
    """Return whether every line feed in the scans follows a carriage return, which is no chance.

    libjpeg does not always notice a few bytes more: its codes can fall back into step.
    """
    first = data.find(b"\n", start)
    if first < 1 or data[first - 1] != 0x0D:  # So it is in most files: nothing need be counted.
        return False
    feeds = data.count(b"\n", start)
    return feeds >= 3 and feeds == data.count(b"\r\n", start)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, stop) of each segment's content up to the first scan.

    Source:
        ITU-T T.81, annex B.1.1.
    """
    place, size = 2, len(data)
    while place < size:
        if data[place] != 0xFF:
            raise corrupt(f"a JPEG whose segments lead nowhere at byte {place}")
        marker = data[place + 1] if place + 1 < size else 0xFF
        if marker == 0xFF:
            place += 1
            continue
        if marker in (_START_OF_SCAN, _END):
            return
        place += 2
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if place + length > size:
            break
        if length < 2:
            raise corrupt(f"a JPEG segment of length {length} at byte {place}")
        yield marker, place + 2, place + length
        place += length
    raise truncated(" (within its header)")


def _decode(data: bytes, colours: str, header: Header, scale: int) -> NDArray[np.uint8]:
    # simplejpeg takes the smallest of libjpeg's scales that gives so many pixels: exactly this one.
    least = (-(-header.height // scale), -(-header.width // scale)) if scale > 1 else (0, 0)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, colours, strict=True, min_height=least[0], min_width=least[1], min_factor=scale
        )
    except ValueError as error:
        reason = str(error).rstrip(".")
        if "remature end of JPEG" in reason:
            raise truncated() from None
        if "subsampling" in reason:
            raise ImageError(
                "a JPEG whose colour sampling is of a rare kind that is not read.", remedy=CONVERT
            ) from None
        raise corrupt(f"libjpeg says '{reason}'") from None
    return pixels
