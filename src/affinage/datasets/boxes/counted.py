"""Counted: annotations on their way to findings, with what became of each box."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.datasets.boxes.annotations import Annotations
from affinage.datasets.boxes.counting import REASONS, Fate, Rules, fates, tally
from affinage.datasets.boxes.placing import Placed
from affinage.datasets.labels import in_order, one_spelling
from affinage.records.box import COUNT_PREFIX, Box, BoxedImage, ClassCounts
from affinage.records.box_column import CountedBox

SHOWN = 4
"""Lines of evidence before the one that says how many more there are: a terminal shows five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Everything that findings about boxes look at.

    Attributes:
        annotations: As they were read.
        placed: Their images, found or not.
        rules: Which boxes count.
        spelling: The class that each label means.
        classes: Those that are counted, in the order of the columns.
        judged: What became of each box of each image of `placed`.
        counts: Shape (images, classes).
        ids_of: Returns the image ids (SHA-256 of the bytes) of paths; reads these files in full.
    """

    annotations: Annotations
    placed: Placed
    rules: Rules
    spelling: Mapping[str, str]
    classes: tuple[str, ...]
    judged: tuple[tuple[Fate, ...], ...]
    counts: NDArray[np.int64]
    ids_of: Callable[[Sequence[str]], tuple[str, ...]]

    @property
    def images(self) -> tuple[BoxedImage, ...]:
        """The images with a frame, sorted by path."""
        return self.placed.images

    def boxes(self) -> Iterator[tuple[BoxedImage, Box, Fate]]:
        """Yield every box of the counted classes, with its image and what became of it."""
        wanted = set(self.classes)
        for image, found in zip(self.images, self.judged, strict=True):
            for box, fate in zip(image.boxes, found, strict=True):
                if self.spelling[box.label] in wanted:
                    yield image, box, fate

    def counted_boxes(self) -> dict[str, list[CountedBox]]:
        """Return what was counted of each image, by its path, cut off at the frame."""
        found: dict[str, list[CountedBox]] = {image.path: [] for image in self.images}
        for image, box, fate in self.boxes():
            if fate == "counted":
                left, top = max(box.x1, 0.0), max(box.y1, 0.0)
                right, bottom = min(box.x2, image.width), min(box.y2, image.height)
                found[image.path].append((self.spelling[box.label], left, top, right, bottom))
        return found

    def share(self, images: int) -> float:
        """Return a number of images as a share of all that the annotations list, 0 to 1."""
        return images / max(1, len(self.annotations.images))


def count_boxes(
    annotations: Annotations,
    placed: Placed,
    rules: Rules,
    *,
    spelling: Mapping[str, str],
    classes: Sequence[str],
    ids_of: Callable[[Sequence[str]], tuple[str, ...]],
) -> Counted:
    """Return what becomes of each box, and the counts."""
    judged = tuple(fates(image, rules) for image in placed.images)
    return Counted(
        annotations=annotations,
        placed=placed,
        rules=rules,
        spelling=spelling,
        classes=tuple(classes),
        judged=judged,
        counts=tally(placed.images, judged, classes, spelling),
        ids_of=ids_of,
    )


def spellings(annotations: Annotations) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the class that each label means, and the classes in order.

    Labels that differ by case only are one class, as everywhere; classes without a box count too.
    """
    labels = Counter(box.label for image in annotations.images for box in image.boxes)
    every = [*labels.elements(), *(name for name in annotations.classes if name)]
    spelling = one_spelling(every)
    return spelling, in_order(set(spelling.values()))


def class_summary(counted: Counted, rows: NDArray[np.bool_]) -> tuple[ClassCounts, ...]:
    """Return how often each class is in the images of the table.

    Args:
        counted: The counts.
        rows: Whether an image is in the table, shape (images,).
    """
    boxes: Counter[str] = Counter()
    dropped: Counter[tuple[str, Fate]] = Counter()
    within = {image.path for image, kept in zip(counted.images, rows, strict=True) if kept}
    for image, box, fate in counted.boxes():
        if image.path in within:
            name = counted.spelling[box.label]
            boxes[name] += 1
            if fate != "counted":
                dropped[name, fate] += 1
    summary = []
    for column, name in enumerate(counted.classes):
        counts = counted.counts[rows, column]
        summary.append(
            ClassCounts(
                name=name,
                column=f"{COUNT_PREFIX}{name}",
                boxes=boxes[name],
                counted=int(counts.sum()),
                dropped={why: dropped[name, why] for why in REASONS if dropped[name, why]},
                images=int((counts > 0).sum()),
                zero_share=float((counts == 0).mean()) if len(counts) else 0.0,
                mean=float(counts.mean()) if len(counts) else 0.0,
                median=float(np.median(counts)) if len(counts) else 0.0,
                largest=int(counts.max(initial=0)),
            )
        )
    return tuple(summary)


def several(number: int, one: str, many: str = "") -> str:
    """Return `1 box` or `1,200 boxes`."""
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def some(items: Iterable[str], shown: int = SHOWN) -> tuple[str, ...]:
    """Return the first lines of evidence, the last one saying how many more there are."""
    listed = list(items)
    more = len(listed) - shown
    return (*listed[:shown], *([f"and {more:,} more"] if more > 0 else []))


def at(image: BoxedImage, box: Box) -> str:
    """Return where a box is, in words: `a.jpg: 'car' at 3,4 to 10,20`."""
    return f"{image.path}: '{box.label}' at {box.x1:.4g},{box.y1:.4g} to {box.x2:.4g},{box.y2:.4g}"
