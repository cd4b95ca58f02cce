"""The one thing that pixels need from EXIF: which way is up."""

import struct

_ORIENTATION = 0x0112


def orientation_of(exif: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (as it lies) where there is none that can be read.

    Args:
        exif: A TIFF structure, with or without the leading "Exif" and two zero bytes.

    Source:
        CIPA DC-008, Exif 2.32, section 4.6.4, tag 274.
    """
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION:
                size = "H" if kind == 3 else "I"
                (value,) = struct.unpack_from(f"{order}{size}", tiff, start + 10 + 12 * entry)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
