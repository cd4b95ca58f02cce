"""Place: one spot where an image is or should be, before anyone has looked inside the file."""

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from affinage.errors import ImageError
from affinage.imaging.sniff import kind_of
from affinage.records.manifest import Status

# fmt: off
IMAGE_SUFFIXES = frozenset((
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe",
    ".jpeg", ".jpg", ".jxl", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif",
    ".tiff", ".webp",
    # Never read, as .heic above: so that each is named with the reason.
    ".arw", ".cr2", ".cr3", ".crw", ".dcm", ".dng", ".exr", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".rw2", ".sr2", ".srw", ".x3f",
))
# fmt: on
LEAVES = "a link that leaves the folder"
NO_TARGET = "a link to nothing"
NOT_AN_IMAGE = "not an image, by its name and by its bytes"
UNDECODABLE = "its name is not valid UTF-8: rename it"

_UNREAD = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")  # Images all the same.
_SHORT_SIGNATURES = ("ICO", "PCX", "PPM")  # Any table of numbers may begin so.


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One spot where an image is or should be.

    Attributes:
        path: Relative to its source, with forward slashes, as the file system has it.
        label: As written by the user (a folder's name, a table's field); None where there is none.
        part: `train`, `validation`, `test`, or None where the user gave none.
        columns: The user's further columns.
        notes: What was special about how the table gave it.
        status: None where the file is still to be read; else known without reading it. `ignored` is
            what is no image and no place for one: it gets no row.
        reason: Why it is not to be read.
    """

    path: str
    label: str | None = None
    part: str | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    status: Status | Literal["ignored"] | None = None
    reason: str | None = None


def looks_like_image(path: str) -> bool:
    """Return whether a file is one by its name or, where its name says nothing, by its first bytes.

    Args:
        path: A file that can be opened; one that cannot counts as no image.
    """
    if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 - 5 times Path's speed.
        return True
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above; bytes that are no UTF-8 pass too.
            head = file.read(2048)
        kind = kind_of(head)
    except ImageError:
        return head[4:8] == b"ftyp" and head[8:12] in _UNREAD
    except (OSError, ValueError):
        return False
    if kind == "BMP":
        return head[6:10] == b"\0\0\0\0"
    return kind not in _SHORT_SIGNATURES


def escape(name: str) -> str:
    """Return a name that can be written as UTF-8: bytes that are none stand as %XX."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "".join(f"%{ord(c) & 0xFF:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in name)
    return name


def is_utf8(name: str) -> bool:
    """Return whether a file's name is text: names from the file system may hold other bytes."""
    return escape(name) == name


def normal_label(text: str | None) -> str | None:
    """Return a label in Unicode's composed form (NFC) without space around it; None for nothing."""
    if text is None:
        return None
    return unicodedata.normalize("NFC", text).strip() or None
