"""The column of boxes in a manifest: read, and compared with the counts beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.errors import DataError
from affinage.records.box_column import BOXES, read_boxes
from affinage.records.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBoxes:
    """The counted objects of one image.

    Attributes:
        boxes: (left, top, right, bottom) in pixels of the image as shown, shape (m, 4).
        classes: Class of each, shape (m,).
        frame: Width and height of the image, px.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    frame: tuple[int, int]


def boxes_by_image(manifest: Manifest, names: Sequence[str]) -> dict[str, ImageBoxes]:
    """Return the boxes of every kept image that are of one of these classes.

    Args:
        manifest: As `for_task` gave it for counts.
        names: Classes in the order of their indices.

    Raises:
        DataError: If the source has no column of boxes, or one of its cells cannot be read.
    """
    if BOXES not in manifest.table.columns:
        raise DataError(
            f"count.recount=true, but the source has no column '{BOXES}' to count anew.",
            remedy="Make the table from annotations of boxes: affinage counts ANNOTATIONS --into "
            "TABLE; or leave count.recount, crops and rotations out.",
        )
    rows = manifest.kept.sort("source", "path").unique("image", keep="first", maintain_order=True)
    place = {name: index for index, name in enumerate(names)}
    found = {}
    for image, path, width, height, text in rows.select(
        "image", "path", "width", "height", BOXES
    ).iter_rows():
        try:
            boxes = [box for box in read_boxes(text) if box[0] in place]
        except DataError as error:
            raise DataError(f"{path}: {error.problem}", remedy=error.remedy) from None
        found[image] = ImageBoxes(
            boxes=np.array([box[1:] for box in boxes], dtype=np.float64).reshape(-1, 4),
            classes=np.array([place[box[0]] for box in boxes], dtype=np.int64),
            frame=(width, height),
        )
    return found
