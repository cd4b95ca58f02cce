"""PNG: its chunks are checked here, and only those that make pixels are handed to Pillow.

Pillow on its own accepts a wrong checksum in the pixels and refuses the whole image over one in a
comment. Both are the wrong way round.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from affinage.imaging.exif import orientation_of
from affinage.imaging.raster import corrupt, truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE = 16 * 2**20  # Bytes of an ICC profile when unpacked; real ones have at most a few MB.

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = (  # Of an interlaced image: first column and row, step across and down.
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))


@dataclass(slots=True)
class Chunks:
    """A PNG taken apart.

    Attributes:
        width: Pixels.
        height: Pixels.
        bits: Per channel: 1, 2, 4, 8 or 16.
        channels: 1 (grey or palette), 2, 3 or 4.
        interlaced: Stored in seven passes.
        clean: The same PNG with nothing in it but what makes pixels.
        profile: The embedded ICC profile, unchecked.
        orientation: EXIF orientation, 1 to 8.
        frames: Of an animation; 1 otherwise.
        skipped: Names of side chunks whose checksum is wrong.
    """

    width: int = 0
    height: int = 0
    bits: int = 8
    channels: int = 1
    interlaced: bool = False
    clean: bytes = b""
    profile: bytes | None = None
    orientation: int = 1
    frames: int = 1
    skipped: list[str] = field(default_factory=list)


def take_apart(data: bytes) -> Chunks:
    """Return the chunks of a PNG, all that matter of them verified.

    Raises:
        ImageError: If it is truncated or a chunk that makes pixels is damaged.

    Source:
        W3C, Portable Network Graphics (PNG) Specification, third edition, section 5.
    """
    found = Chunks()
    kept: list[bytes | memoryview] = [SIGNATURE]
    whole = True
    view = memoryview(data)
    for name, start, stop in _chunks(data):
        content = view[start:stop]
        sound = zlib.crc32(view[start - 4 : stop]) == int.from_bytes(view[stop : stop + 4], "big")
        if name in _PIXELS:
            if not sound:
                raise corrupt(f"wrong checksum in the PNG chunk {name.decode()}")
            if name == b"IHDR" and len(content) == 13 and not found.width:
                found.width, found.height, found.bits, colour = struct.unpack_from(">IIBB", content)
                found.channels = _CHANNELS.get(colour, 1)
                found.interlaced = content[12] == 1
            kept.append(view[start - 8 : stop + 4])
            continue
        whole = False
        if not sound:
            found.skipped.append(name.decode("latin-1"))
        elif name == b"iCCP":
            found.profile = _profile(bytes(content))
        elif name == b"eXIf":
            found.orientation = orientation_of(bytes(content))
        elif name == b"acTL" and len(content) >= 4:
            found.frames = int.from_bytes(content[:4], "big")
    found.clean = data if whole else b"".join(kept)
    return found


def check_rows(chunks: Chunks) -> None:
    """Refuse a PNG whose pixels unpack to less than its header promises.

    Pillow shows the rows that are missing as black.

    Raises:
        ImageError: If rows are missing.
    """
    unpacker, size = zlib.decompressobj(), 0
    for name, start, stop in _chunks(chunks.clean):
        packed = chunks.clean[start:stop] if name == b"IDAT" else b""
        while packed and not unpacker.eof:
            size += len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
    passes = _PASSES if chunks.interlaced else ((0, 0, 1, 1),)
    promised = 0
    for column, row, across, down in passes:
        columns = max(0, -(-(chunks.width - column) // across))
        rows = max(0, -(-(chunks.height - row) // down))
        promised += rows * (1 + -(-columns * chunks.bits * chunks.channels // 8)) if columns else 0
    if size < promised:
        raise truncated(f": {size:,} of {promised:,} bytes of pixels")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, stop) of each chunk's content, IEND last."""
    place, size = len(SIGNATURE), len(data)
    while place + 12 <= size:
        length, name = struct.unpack_from(">I4s", data, place)
        start, stop = place + 8, place + 8 + length
        if not name.isalpha():
            raise corrupt(f"no PNG chunk where one should be, at byte {place}")
        if stop + 4 > size:
            break
        if place == len(SIGNATURE) and name != b"IHDR":
            raise corrupt("a PNG that does not begin with its header")
        yield name, start, stop
        if name == b"IEND":
            return
        place = stop + 4
    raise truncated()


def _profile(content: bytes) -> bytes:
    """Return the unpacked ICC profile of an iCCP chunk; what cannot be unpacked is no profile."""
    _, _, packed = content.partition(b"\x00")
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return b"broken"
