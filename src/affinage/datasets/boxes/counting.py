"""Counting: which boxes are counted in an image, which are not, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affinage.errors import RecipeError
from affinage.records.box import Box, BoxedImage

Fate = Literal[
    "counted",
    "not a number",
    "empty",
    "crowd",
    "difficult",
    "outside",
    "thin",
    "duplicate",
    "small",
]
"""What becomes of a box; the first reason that applies, in this order."""

REASONS: tuple[Fate, ...] = (
    "not a number",
    "empty",
    "crowd",
    "difficult",
    "outside",
    "thin",
    "duplicate",
    "small",
)
"""Why a box is not counted."""

MIN_VISIBLE = 0.25
"""Least share of a box that lies within the frame: of less, one cannot say what it is."""

ALIKE = 0.9
"""Intersection over union from which two boxes of a class are one object: real duplicates are
often copies that are off by a pixel or two."""

SLACK = 0.01
"""Pixels by which a side may fall short: annotations in shares of a frame are rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which boxes count.

    Attributes:
        size: Width and height to which the whole frame is resized for the model, px; None keeps
            each image's own.
        min_box: Least shorter side of a box at that size, px.
        crowd: Whether a region of many counts, as one.
        difficult: Whether boxes marked as difficult count.
        duplicates: Whether each of two boxes on one object counts.

    Raises:
        RecipeError: If a size is not above 0, or `min_box` is below it.
    """

    size: tuple[int, int] | None = None
    min_box: float = 0.0
    crowd: bool = False
    difficult: bool = True
    duplicates: bool = True

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise RecipeError(
                f"The size {self.size[0]} × {self.size[1]} has a side below 1 px.",
                remedy="Give the size at which the model will see the images: --size 400x225.",
            )
        if not 0 <= self.min_box < math.inf:
            raise RecipeError(
                f"min_box is {self.min_box}, but must be 0 px or more.", remedy="Say --min-box 10."
            )


def fates(image: BoxedImage, rules: Rules) -> tuple[Fate, ...]:
    """Return what becomes of each box of an image.

    A box is first clipped to the frame. What then counts against it: less than `MIN_VISIBLE` of it is
    in the frame; a side is thinner than 1 px; the shorter side is below `min_box` at the size of the
    training. Frames are resized as a whole, so both axes have their own scale.

    Whether two boxes are one object does not depend on `min_box` or `size`, so that a larger
    `min_box` or a smaller `size` can never bring a box back.
    """
    found = [_fate(box, image, rules) for box in image.boxes]
    if not rules.duplicates:
        again = {second for _, second in duplicates(image.boxes)}
        found = [
            "duplicate" if number in again and fate in ("counted", "small") else fate
            for number, fate in enumerate(found)
        ]
    return tuple(found)


def duplicates(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Return pairs of positions of boxes that are one object: same label, nearly the same place.

    Each position is the second of one pair at most, and then never a first: of three copies the
    first stands, and two pairs name it. Boxes are compared where `crowd` is the same.
    """
    alike: dict[tuple[str, bool], list[int]] = {}
    for number, box in enumerate(boxes):
        if _flaw(box) is None:
            alike.setdefault((box.label, box.crowd), []).append(number)
    pairs = [pair for group in alike.values() if len(group) > 1 for pair in _near(boxes, group)]
    again: set[int] = set()
    kept = []
    for first, second in sorted(pairs):
        if first not in again and second not in again:
            again.add(second)
            kept.append((first, second))
    return kept


def tally(
    images: Sequence[BoxedImage],
    judged: Sequence[Sequence[Fate]],
    classes: Sequence[str],
    spelling: Mapping[str, str],
) -> NDArray[np.int64]:
    """Return how many boxes of each class count in each image, shape (images, classes).

    Args:
        images: The images.
        judged: The fate of each box of each image.
        classes: Names in the order of the columns; boxes of others are passed over.
        spelling: The name of the class that each label means.
    """
    column = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(images), len(classes)), dtype=np.int64)
    for row, (image, found) in enumerate(zip(images, judged, strict=True)):
        for box, fate in zip(image.boxes, found, strict=True):
            number = column.get(spelling[box.label])
            if fate == "counted" and number is not None:
                counts[row, number] += 1
    return counts


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    across = min(a.x2, b.x2) - max(a.x1, b.x1)
    down = min(a.y2, b.y2) - max(a.y1, b.y1)
    if across <= 0 or down <= 0:
        return 0.0
    common = across * down
    return common / (_area(a) + _area(b) - common)


def visible_share(box: Box, width: int, height: int) -> float:
    """Return the share of a box's area within the frame, or what the annotation says of it."""
    if box.visible is not None:
        return box.visible
    across = min(box.x2, width) - max(box.x1, 0.0)
    down = min(box.y2, height) - max(box.y1, 0.0)
    if across <= 0 or down <= 0:
        return 0.0
    return across / (box.x2 - box.x1) * (down / (box.y2 - box.y1))


def _area(box: Box) -> float:
    return (box.x2 - box.x1) * (box.y2 - box.y1)


def _flaw(box: Box) -> Fate | None:
    if not all(map(math.isfinite, (box.x1, box.y1, box.x2, box.y2))):
        return "not a number"
    return "empty" if box.x2 <= box.x1 or box.y2 <= box.y1 else None


def _fate(box: Box, image: BoxedImage, rules: Rules) -> Fate:
    flaw = _flaw(box)
    if flaw is not None:
        return flaw
    if box.crowd and not rules.crowd:
        return "crowd"
    if box.difficult and not rules.difficult:
        return "difficult"
    across = min(box.x2, image.width) - max(box.x1, 0.0)
    down = min(box.y2, image.height) - max(box.y1, 0.0)
    if across <= 0 or down <= 0 or visible_share(box, image.width, image.height) < MIN_VISIBLE:
        return "outside"
    if min(across, down) < 1 - SLACK:
        return "thin"
    width, height = rules.size or (image.width, image.height)
    shorter = min(across * width / image.width, down * height / image.height)
    return "small" if shorter < rules.min_box - SLACK else "counted"


def _near(boxes: Sequence[Box], group: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pairs within a group that overlap enough, without comparing all with all.

    Two intervals whose overlap is a share t of their union begin at most (1 - t) / t of the length
    of either apart.
    """
    ordered = sorted(group, key=lambda number: boxes[number].x1)
    pairs = []
    for position, one in enumerate(ordered):
        reach = boxes[one].x1 + (boxes[one].x2 - boxes[one].x1) * (1 - ALIKE) / ALIKE
        for other in ordered[position + 1 :]:
            if boxes[other].x1 > reach + SLACK:
                break
            if overlap(boxes[one], boxes[other]) > ALIKE:
                pairs.append((min(one, other), max(one, other)))
    return pairs
