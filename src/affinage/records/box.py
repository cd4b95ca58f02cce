"""Boxes: what annotations say of an image, and what became of it as counts per class."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from affinage.records.finding import Finding

COUNT_PREFIX = "count:"
"""Begins the name of each column of counts: `count:car` holds how many cars an image shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One object, as an upright rectangle in pixels of the image as it is shown.

    Nothing is promised of the numbers: annotations hold empty boxes, boxes beyond the frame and NaN,
    and these are to be reported, not to be hidden.

    Attributes:
        label: Class of the object.
        x1: Left edge, px from the frame's left.
        y1: Upper edge, px from the frame's top.
        x2: Right edge.
        y2: Lower edge.
        crowd: A region of many objects that nobody counted one by one.
        difficult: Marked as hard to recognise, or hidden for the most part.
        truncated: Marked as going on beyond the frame.
        visible: Share of the object within the frame, 0 to 1, where the annotation knows it better
            than the rectangle does; None elsewhere.
    """

    label: str
    x1: float
    y1: float
    x2: float
    y2: float
    crowd: bool = False
    difficult: bool = False
    truncated: bool = False
    visible: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedImage:
    """An image with its boxes.

    Attributes:
        path: Relative, with forward slashes.
        width: Pixels as shown, after the EXIF rotation.
        height: Pixels as shown.
        boxes: In the order of the annotations.
        split: `train`, `validation`, `test`, or None where the annotations name none.
        columns: What else the annotations tell of the image, such as its scene or camera.
    """

    path: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """How often a class is in the images of a table.

    Attributes:
        name: Of the class.
        column: Of the table, where the counts stand.
        boxes: Boxes of this class in the table's images, the uncounted too.
        counted: Boxes that were counted: the sum of the column.
        dropped: Boxes that were not, by reason; only reasons that occurred.
        images: Images with one or more.
        zero_share: Share of images with none, 0 to 1.
        mean: Of the counts, over all images.
        median: Of the counts, over all images.
        largest: The largest count of an image.
    """

    name: str
    column: str
    boxes: int
    counted: int
    dropped: Mapping[str, int]
    images: int
    zero_share: float
    mean: float
    median: float
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsResult:
    """What `affinage counts` made of annotations.

    Attributes:
        annotations: Name of the file or folder that was read.
        kind: Its format: `coco`, `voc`, `yolo`, `nuscenes`, `nuscenes2d` or `table`.
        table: Name of the table that was written.
        images: Its rows.
        left_out: Images that the annotations list and the table does not; `findings` say why.
        boxes: Boxes in the table's images.
        counted: Boxes that were counted.
        size: Width and height at which the model will see the frames, px; None where not given.
        min_box: Least shorter side of a counted box, px at `size`.
        splits: Images by their split; empty where the annotations name none.
        classes: One for each column of counts, in the columns' order.
        findings: What the owner of the annotations should know, the gravest first.
    """

    annotations: str
    kind: str
    table: str
    images: int
    left_out: int
    boxes: int
    counted: int
    size: tuple[int, int] | None
    min_box: float
    splits: Mapping[str, int]
    classes: tuple[ClassCounts, ...]
    findings: tuple[Finding, ...]
