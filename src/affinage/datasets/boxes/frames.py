"""Frames: how large an image is as it is shown, and where its boxes lie in that frame."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from affinage.datasets.boxes.annotations import Listed
from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.jpeg import read_header
from affinage.imaging.png import SIGNATURE, take_apart
from affinage.records.box import Box

Fit = Literal["as it is", "turned by EXIF", "turned", "scaled"]
"""How the annotations' frame became the shown one; `turned` has no EXIF rotation to explain it."""

_HEAD = 1 << 17  # Bytes that hold the header of nearly every JPEG.
_NEARLY = 0.01  # Of a side: annotations are off by a pixel or two, and mean the same frame.


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The pixels of an image file.

    Attributes:
        width: As shown, px.
        height: As shown, px.
        orientation: EXIF orientation, 1 to 8: what was done to the stored pixels to show them.
    """

    width: int
    height: int
    orientation: int = 1


def frame_of(file: Path) -> Frame:
    """Return the frame of an image file by its header; other formats than JPEG and PNG are decoded.

    Raises:
        ImageError: If it cannot be opened or is no image that is read.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_HEAD)
            if not data.startswith(b"\xff\xd8") or not _has_header(data):
                data += opened.read()
    except OSError as error:
        raise ImageError(
            f"cannot be opened: {error.strerror}.", remedy="Check that you may read it."
        ) from None
    if data.startswith(b"\xff\xd8"):
        header = read_header(data)
        return _shown(header.width, header.height, header.orientation)
    if data.startswith(SIGNATURE):
        chunks = take_apart(data)
        return _shown(chunks.width, chunks.height, chunks.orientation)
    height, width = decode(data).pixels.shape[:2]
    return Frame(width=width, height=height)


def fitted(listed: Listed, frame: Frame, *, shares: bool) -> tuple[tuple[Box, ...], Fit] | None:
    """Return the boxes of an image in the frame as it is shown, and what that took.

    Annotations without a size are taken to be made on the image as shown, unless their boxes fit
    only the stored one. A stated size within 1 % of the frame's is the same frame.

    Args:
        listed: The image as annotated.
        frame: Its file's frame.
        shares: Whether boxes are shares of the frame and not pixels.

    Returns:
        None where the stated size is neither that of the file, nor turned, nor scaled: the
        annotation may be of another image.
    """
    shown = (frame.width, frame.height)
    if shares:
        return tuple(_scaled(box, *shown) for box in listed.boxes), "as it is"
    if listed.width is None or listed.height is None:
        stored = shown[::-1] if frame.orientation >= 5 else shown
        fits = _all_in(listed.boxes, shown) or not _all_in(listed.boxes, stored)
        return _in_frame(listed.boxes, shown if fits else stored, frame)
    return _in_frame(listed.boxes, (listed.width, listed.height), frame)


def _in_frame(
    boxes: tuple[Box, ...], size: tuple[int, int], frame: Frame
) -> tuple[tuple[Box, ...], Fit] | None:
    """Return the boxes of a frame of some size in the frame as it is shown."""
    shown = (frame.width, frame.height)
    if _alike(size, shown):
        return boxes, "as it is"
    if _alike(size, shown[::-1]):
        known = frame.orientation >= 5
        way = frame.orientation if known else 6
        turned = tuple(upright(box, size, way) for box in boxes)
        return turned, "turned by EXIF" if known else "turned"
    across, down = shown[0] / size[0], shown[1] / size[1]
    if abs(across / down - 1) <= _NEARLY:
        return tuple(_scaled(box, across, down) for box in boxes), "scaled"
    return None


def upright(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Return a box of the stored pixels where it lies in the image as shown.

    Args:
        box: In stored pixels.
        size: Width and height as stored, px.
        orientation: EXIF orientation, 1 to 8.

    Source:
        CIPA DC-008, Exif 2.32, section 4.6.4, tag 274.
    """
    x1, y1, x2, y2 = box.x1, box.y1, box.x2, box.y2
    width, height = size
    if orientation >= 5:
        x1, y1, x2, y2, width, height = y1, x1, y2, x2, height, width
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return replace(box, x1=x1, y1=y1, x2=x2, y2=y2)


def _has_header(data: bytes) -> bool:
    try:
        read_header(data)
    except (ImageError, struct.error):
        return False
    return True


def _shown(width: int, height: int, orientation: int) -> Frame:
    if orientation >= 5:
        width, height = height, width
    return Frame(width=width, height=height, orientation=orientation)


def _scaled(box: Box, across: float, down: float) -> Box:
    return replace(box, x1=box.x1 * across, y1=box.y1 * down, x2=box.x2 * across, y2=box.y2 * down)


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    return all(
        abs(one - two) <= max(2.0, _NEARLY * two) for one, two in zip(size, other, strict=True)
    )


def _all_in(boxes: tuple[Box, ...], size: tuple[int, int]) -> bool:
    return all(
        box.x1 >= -1 and box.y1 >= -1 and box.x2 <= size[0] + 1 and box.y2 <= size[1] + 1
        for box in boxes
    )
