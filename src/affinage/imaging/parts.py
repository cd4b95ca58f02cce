"""The parts of an image file that was read before: where its headers lie, without their meaning.

What does not lead on ends the walk: whether a file is whole is for its reader to say.
"""

import struct
from collections.abc import Iterator

Part = tuple[bytes, int, int]

_START_OF_SCAN = 0xDA
_ALONE = frozenset((0x01, *range(0xD0, 0xDA)))
_MOST = 10_000  # Of an image that is made of parts; the walk must end.


def parts_of(data: bytes, kind: str) -> Iterator[Part]:
    """Yield (name, start, stop) of the parts of a JPEG (up to its first scan), PNG or WebP.

    Args:
        data: The whole file.
        kind: Its format, as `imaging.sniff.kind_of` names it; others have no parts.

    Yields:
        The marker as one byte, or the chunk's four letters, and where its content lies in `data`.

    Source:
        ITU-T T.81, annex B; W3C, PNG (third edition), section 5; RFC 9649, section 2.
    """
    if kind == "JPEG":
        yield from _segments(data)
    elif kind == "PNG":
        yield from _chunks(data, first=8, layout=">I4s", after=4)
    elif kind == "WEBP":
        yield from _chunks(data, first=12, layout="<4sI", after=0)


def _segments(data: bytes) -> Iterator[Part]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            length = max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
            yield data[place + 1 : place + 2], place + 4, place + 2 + length
            place += 2 + length


def _chunks(data: bytes, *, first: int, layout: str, after: int) -> Iterator[Part]:
    place = first
    for _ in range(_MOST):
        if place + 8 > len(data):
            return
        name, length = struct.unpack_from(layout, data, place)
        if isinstance(name, int):
            name, length = length, name
        yield name, place + 8, place + 8 + length
        place += 8 + length + (length & 1 if after == 0 else after)
