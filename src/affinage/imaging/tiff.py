"""What a TIFF's first directory says, read before Pillow guesses."""

import struct
import zlib
from dataclasses import dataclass

import simplejpeg

from affinage.errors import ImageError
from affinage.imaging.raster import corrupt, truncated
from affinage.imaging.sniff import CONVERT, RAW
from affinage.imaging.zero_tail import check_tail

_LETTERS = {1: "B", 7: "B", 3: "H", 4: "I", 16: "Q"}
_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_DEFLATE = (8, 32946)
_FORMATS = {1: "unsigned", 2: "signed", 3: "float", 4: "undefined", 5: "complex", 6: "complex"}
_MODELS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3, 32803: 1, 34892: 3}
_UNREADABLE = {32803: "a camera's raw mosaic", 34892: "a camera's linear raw", 8: "Lab", 9: "Lab"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of the first page are laid out.

    Attributes:
        width: Pixels.
        height: Pixels.
        bits: Per channel.
        channels: Samples per pixel.
        numbers: "unsigned", "signed", "float", ...
        photometric: 0 and 1 grey, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        extra: What each channel beyond the colour is: 0 unknown, 1 and 2 opacity.
        compression: 1 none, 5 LZW, 7 JPEG, 8 deflate, ...
        strips: (start, stop) of each strip or tile of compressed pixels, in bytes of the file.
        tables: What the JPEG strips have in common.
        raw: Whether it says that it is a camera's raw file (DNG).
        preview: Whether it says that the first page is a small copy of another.
    """

    width: int
    height: int
    bits: tuple[int, ...]
    channels: int
    numbers: str
    photometric: int
    extra: tuple[int, ...]
    compression: int
    strips: tuple[tuple[int, int], ...]
    tables: bytes
    raw: bool
    preview: bool


def read_layout(data: bytes) -> Layout:
    """Return the layout of a TIFF's first page.

    Raises:
        ImageError: If its directory lies beyond the file or is no directory.

    Source:
        Adobe, TIFF revision 6.0, 1992, sections 2 and 8; BigTIFF: libtiff's description.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    try:
        tags = _tags(data, order, big=big)
    except struct.error:
        raise truncated(" (its directory is not there)") from None

    def one(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    strips = tuple(
        (start, start + size)
        for offsets, sizes in ((273, 279), (324, 325))
        for start, size in zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
    )
    if one(259, 1) != 1 and max((stop for _, stop in strips), default=0) > len(data):
        raise truncated(" (a strip of pixels lies beyond its end)")
    if 256 not in tags or 257 not in tags:
        raise corrupt("a TIFF that does not say its size")
    return Layout(
        width=one(256, 0),
        height=one(257, 0),
        bits=tags.get(258) or (1,),
        channels=one(277, 1),
        numbers=_FORMATS.get(one(339, 1), "unknown"),
        photometric=one(262, 1),
        extra=tags.get(338, ()),
        compression=one(259, 1),
        strips=strips,
        tables=bytes(tags.get(347, ())),
        raw=50706 in tags,
        preview=bool(one(254, 0) & 1),
    )


def check_layout(layout: Layout) -> tuple[str, ...]:
    """Refuse what would be read as something that it is not; return notes on the rest.

    Raises:
        ImageError: If channels or numbers have no known meaning as a picture.
    """
    if layout.raw:
        raise ImageError(f"{RAW} (DNG).", remedy=CONVERT)
    if layout.preview:
        raise ImageError(
            "a TIFF whose first picture is a small copy of another, as in cameras' raw files.",
            remedy=CONVERT,
        )
    if layout.photometric in _UNREADABLE:
        name = _UNREADABLE[layout.photometric]
        raise ImageError(f"a TIFF in {name} colour, which is not read.", remedy=CONVERT)
    colours = _MODELS.get(layout.photometric)
    spare = layout.channels - (colours or layout.channels)
    described = f"a TIFF of {layout.channels} channels of {layout.bits[0]} bits"
    if colours is None or spare < 0 or spare > 1:
        raise ImageError(
            f"{described}: which of them are red, green and blue is not known.",
            remedy="Save the three that the model is to see as an RGB image.",
        )
    if layout.numbers in ("signed", "complex"):
        raise ImageError(
            f"{described}, {layout.numbers} numbers: which of them is black or white is not known.",
            remedy="Scale it to 8 bits yourself and save it as PNG.",
        )
    if spare == 1 and layout.extra[:1] not in ((1,), (2,)):
        return ("a channel of unknown meaning left out",)
    return ()


def check_strips(data: bytes, layout: Layout) -> None:
    """Refuse damaged strips here, where libtiff would print its own words or say nothing.

    Deflated strips carry a checksum; those of JPEG are read with libjpeg's warnings as errors. What
    other compressions hide only libtiff can tell; uncompressed pixels tell where they stop in a row.

    Raises:
        ImageError: If a strip is damaged.
    """
    if layout.compression == 1:
        pixels = b"".join(data[start:stop] for start, stop in layout.strips)
        stride = layout.width * layout.channels * layout.bits[0] // 8
        if stride and len(pixels) == stride * layout.height:  # Strips of whole rows, not tiles.
            check_tail(pixels, stride)
        return
    for start, stop in layout.strips:
        try:
            if layout.compression in _DEFLATE:
                unpacker, packed = zlib.decompressobj(), data[start:stop]
                while packed and not unpacker.eof:
                    unpacker.decompress(packed, 2**20)
                    packed = unpacker.unconsumed_tail
                if not unpacker.eof:
                    raise corrupt("a strip of pixels that does not end")
            elif layout.compression == 7 and layout.tables:
                strip = layout.tables[:-2] + data[start + 2 : stop]
                simplejpeg.decode_jpeg(strip, "GRAY" if layout.channels == 1 else "RGB")
            elif layout.compression == 7:
                simplejpeg.decode_jpeg(data[start:stop], "GRAY" if layout.channels == 1 else "RGB")
        except (zlib.error, ValueError) as error:
            raise corrupt(f"a strip of pixels is damaged ({error})") from None


def _tags(data: bytes, order: str, *, big: bool) -> dict[int, tuple[int, ...]]:
    """Return the whole-number tags of the first directory, having seen that all lie within."""
    word, count_of, entry_size = ("Q", "Q", 20) if big else ("I", "H", 12)
    inline = 8 if big else 4
    (start,) = struct.unpack_from(order + word, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + count_of, data, start)
    first = start + struct.calcsize(order + count_of)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(min(count, 1000)):
        place = first + entry * entry_size
        tag, kind, values = struct.unpack_from(order + "HH" + word, data, place)
        at = place + entry_size - inline
        if values * _BYTES.get(kind, 1) > inline:
            (at,) = struct.unpack_from(order + word, data, at)
            if at + values * _BYTES.get(kind, 1) > len(data):
                raise truncated(f" (tag {tag} lies beyond its end)")
        if kind in _LETTERS:
            tags[tag] = struct.unpack_from(f"{order}{values}{_LETTERS[kind]}", data, at)
    return tags
