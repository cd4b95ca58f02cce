"""Which camera and which program made an image, as its EXIF says; nothing else in it is read."""

import struct
from dataclasses import dataclass

from affinage.imaging.parts import parts_of

_HOLDERS = {"JPEG": b"\xe1", "PNG": b"eXIf", "WEBP": b"EXIF"}
_LEAD = b"Exif\x00\x00"
_MAKE, _MODEL, _SOFTWARE = 0x010F, 0x0110, 0x0131
_LONGEST = 80  # Characters: longer ones are no name, and they end up in tables.
_ENTRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an image says that it comes from.

    Attributes:
        camera: Make and model, printable, at most 80 characters; None where it does not say.
        software: The program that wrote it, likewise.
    """

    camera: str | None = None
    software: str | None = None


def origin_of(data: bytes, kind: str) -> Origin:
    """Return the camera and the program named in an image's EXIF.

    Only three texts of the first directory are read: not the place (it has a directory of its own,
    which is never followed), not the time, not the owner.

    Args:
        data: The whole file.
        kind: Its format, as `imaging.sniff.kind_of` names it.

    Source:
        CIPA DC-008, Exif 2.32, sections 4.5 and 4.6.4.
    """
    texts = _texts(_exif(data, kind))
    make, model = texts.get(_MAKE, ""), texts.get(_MODEL, "")
    first_word = make.split(" ")[0].casefold()
    camera = model if first_word and model.casefold().startswith(first_word) else f"{make} {model}"
    return Origin(camera=_short(camera), software=_short(texts.get(_SOFTWARE, "")))


def _exif(data: bytes, kind: str) -> bytes:
    """Return the TIFF structure that holds a file's EXIF; empty where there is none."""
    if kind == "TIFF":
        return data
    for name, start, stop in parts_of(data, kind):
        if name == _HOLDERS[kind] and (kind != "JPEG" or data.startswith(_LEAD, start)):
            return data[start:stop].removeprefix(_LEAD)
    return b""


def _texts(tiff: bytes) -> dict[int, str]:
    """Return the three texts by tag, cleaned; what cannot be read is not there."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    found: dict[int, str] = {}
    if order is None or tiff[2:4] not in (b"*\x00", b"\x00*"):
        return found
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(min(count, _ENTRIES)):
            place = start + 2 + 12 * entry
            tag, kind, size = struct.unpack_from(f"{order}HHI", tiff, place)
            if tag in (_MAKE, _MODEL, _SOFTWARE) and kind == 2:
                at = place + 8 if size <= 4 else struct.unpack_from(f"{order}I", tiff, place + 8)[0]
                found[tag] = _clean(tiff[at : at + min(size, 4 * _LONGEST)])
    except struct.error:
        pass
    return found


def _clean(raw: bytes) -> str:
    """Return printable words with one space between them, up to the first zero byte."""
    text = raw.split(b"\x00")[0].decode("utf-8", "replace").replace("\ufffd", " ")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _short(text: str) -> str | None:
    return text.strip()[:_LONGEST].rstrip() or None
