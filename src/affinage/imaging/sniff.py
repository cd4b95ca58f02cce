"""What a file is by its first bytes, whatever its name says."""

import codecs
import re

from affinage.errors import ImageError

REPLACE = "Replace the file by the image that it should be, or leave it out."
CONVERT = "Save it as PNG or JPEG and scan again."
RAW = "a camera's raw file"

_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00\x08\x00\x00\x00", "TIFF"),
    (b"MM\x00+\x00\x08\x00\x00", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0", "an old office document or Thumbs.db"),
    (b"\x00\x05\x16\x07", "a macOS side file (._), not the image itself"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\x00\x00\x01\xba", "a video (MPEG)"),
    (b"\x00\x00\x01\xb3", "a video (MPEG)"),
    (b"FLV\x01", "a video (Flash)"),
    (b"\x30\x26\xb2\x75", "a video (Windows Media)"),
    (b"OggS", "a video or sound (Ogg)"),
    (b"ID3", "a sound (MP3)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"FUJIFILMCCD-RAW", f"{RAW} (RAF)"),
    (b"IIRO", f"{RAW} (ORF)"),
    (b"IIRS", f"{RAW} (ORF)"),
    (b"MMOR", f"{RAW} (ORF)"),
    (b"IIU\x00", f"{RAW} (RW2)"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", f"{RAW} (CRW)"),
    (b"\x00MRM", f"{RAW} (MRW)"),
    (b"FOVb", f"{RAW} (X3F)"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image, which is not read"),
    (b"\xff\x0a", "a JPEG XL image, which is not read"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image, which is not read"),
    (b"BPG\xfb", "a BPG image, which is not read"),
    (b"FLIF", "a FLIF image, which is not read"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "an SQLite database"),
)

_BRANDS = (
    (("avif", "avis"), "an AVIF image, which is not read"),
    (
        ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"),
        "a HEIC image, which is not read",
    ),
    (("qt  ",), "a video (QuickTime)"),
    (("crx ",), f"{RAW} (CR3)"),
)

_HTML = re.compile(r"<(!doctype\s+html|html|head|body|script|title|meta)\b", re.IGNORECASE)
_TAG = re.compile(r"<(!doctype\s+html|html|head|body|script|title|meta|svg)\b", re.IGNORECASE)
_LFS = "version https://git-lfs.github.com/"


def kind_of(data: bytes) -> str:
    """Return the format of an image: "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "ICO", ...

    Args:
        data: A whole file.

    Raises:
        ImageError: If it is none that is read; the reason says what it is instead, if that shows.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if not data:
        raise ImageError("an empty file (0 bytes).", remedy=REPLACE)
    if data[:4] in (b"II*\x00", b"MM\x00*") and data[8:10] == b"CR":
        raise ImageError(f"{RAW} (CR2).", remedy=CONVERT)
    for magic, kind in _PICTURES:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF":
        return _riff(data)
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in (b" ", b"\t", b"\n", b"\r"):
        return "PPM"
    if data[:1] == b"\x0a" and data[1:2] in b"\x00\x02\x03\x05" and data[2:3] == b"\x01":
        return "PCX"
    if data[-18:] == b"TRUEVISION-XFILE.\x00":
        return "TGA"
    raise ImageError(_what(data), remedy=_remedy(data))


def _riff(data: bytes) -> str:
    kinds = {b"AVI ": "a video (AVI).", b"WAVE": "a sound (WAV)."}
    if data[8:12] == b"WEBP":
        return "WEBP"
    raise ImageError(kinds.get(data[8:12], "a RIFF file that is no image."), remedy=REPLACE)


def _what(data: bytes) -> str:
    """Return what a file is that is no image."""
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("latin-1")
        names = (name for brands, name in _BRANDS if brand in brands)
        return f"{next(names, 'a video (MP4)')}."
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return f"{name}."
    if data[128:132] == b"DICM":
        return "a DICOM file, which is not read."
    if data.startswith(b"\x89PNG"):
        return "corrupt: a PNG whose line ends were converted on the way."
    if not data.strip(b"\x00"):
        return f"nothing but {len(data)} zero bytes."
    return _text(data) or f"not an image that can be told by its first bytes ({data[:8].hex(' ')})."


def _remedy(data: bytes) -> str:
    if data.startswith(_LFS.encode()):
        return "Fetch the file itself: git lfs pull"
    if data.startswith(b"\x89PNG"):
        return "Copy it again, as binary."
    readable = data[4:8] == b"ftyp" or data[128:132] == b"DICM" or data.startswith(b"8BPS")
    readable = readable or _what(data).startswith(RAW)
    return CONVERT if readable or _text(data) == "an SVG drawing, not pixels." else REPLACE


def _text(data: bytes) -> str | None:
    """Return what kind of text a file is, or None if it is none."""
    start = _readable(data[:2048]).lstrip()
    if not start:
        return None
    if start.startswith(_LFS):
        return "a Git LFS pointer: the image itself was never fetched."
    tag = _TAG.search(start) if start[0] == "<" else None
    kinds = (
        (tag and tag[1].lower() != "svg", "an HTML page, not an image."),
        (tag, "an SVG drawing, not pixels."),  # A script in it makes no page of it.
        (start[0] == "<", "an XML document, not an image."),
        (start[0] in "{[", "a JSON text, not an image."),
    )
    return next((name for holds, name in kinds if holds), "a text, not an image.")


def _readable(head: bytes) -> str:
    """Return the start of a text; nothing if it is none."""
    if _HTML.search(head[:512].decode("latin-1")):  # Pages lie about their encoding.
        return head.decode("latin-1").lstrip("ï»¿")
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    try:
        text = decoder.decode(head)  # A letter cut in two at the end is no error.
    except UnicodeDecodeError:
        return ""
    return "" if any(letter < " " and letter not in "\t\n\v\f\r" for letter in text) else text
