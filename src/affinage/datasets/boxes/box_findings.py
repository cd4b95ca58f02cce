"""What to know about the boxes: those that cannot be counted, and those that count twice."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from affinage.datasets.boxes.counted import Counted, at, several, some
from affinage.datasets.boxes.counting import ALIKE, MIN_VISIBLE, Fate, duplicates, overlap
from affinage.records.box import Box, BoxedImage
from affinage.records.finding import Finding

_MUCH = 0.05
_BEYOND = 0.01  # Of a side of the frame; less is how edges are drawn.
_REDRAW = "Draw them anew in the program that annotates, or leave their images out: --leave-out"
Found = Sequence[tuple[BoxedImage, Box]]


def not_numbers(counted: Counted) -> Iterator[Finding]:
    """Yield boxes with coordinates that are no numbers."""
    found = _with(counted, "not a number")
    if found:
        yield Finding(
            code="boxes-not-numbers",
            severity="warning",
            subject=f"{_boxes(found)} with coordinates that are no finite numbers; not counted.",
            evidence=_lines(found),
            remedy=f"{_REDRAW} boxes-not-numbers",
            images=_images(found),
            ids=counted.ids_of(_images(found)),
            cost=counted.share(len(_images(found))),
        )


def empty_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield boxes without area: their right edge is not right of the left one, or likewise down."""
    found = _with(counted, "empty")
    if found:
        yield Finding(
            code="empty-boxes",
            severity="warning",
            subject=f"{_boxes(found)} without area; not counted, though an object may be meant.",
            evidence=_lines(found),
            remedy=f"{_REDRAW} empty-boxes",
            images=_images(found),
            ids=counted.ids_of(_images(found)),
            cost=counted.share(len(_images(found))),
        )


def thin_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield boxes with a side below 1 px within the frame."""
    found = _with(counted, "thin")
    if found:
        yield Finding(
            code="thin-boxes",
            severity="warning",
            subject=f"{_boxes(found)} thinner than 1 px in the frame; not counted.",
            evidence=_lines(found),
            remedy=f"{_REDRAW} thin-boxes",
            images=_images(found),
            ids=counted.ids_of(_images(found)),
            cost=counted.share(len(_images(found))),
        )


def boxes_outside(counted: Counted) -> Iterator[Finding]:
    """Yield boxes that lie outside their frame, wholly or for the most part."""
    found = _with(counted, "outside")
    if not found:
        return
    # In a view of a space, what is just beyond the frame is annotated on purpose.
    if counted.annotations.kind == "nuscenes":
        yield Finding(
            code="boxes-at-the-edge",
            severity="note",
            subject=f"{_boxes(found)} with less than {100 * MIN_VISIBLE:.0f} % of the object in view; not"
            " counted.",
            evidence=_lines(found),
            images=_images(found),
        )
        return
    yield Finding(
        code="boxes-outside",
        severity="warning",
        subject=f"{_boxes(found)} with less than {100 * MIN_VISIBLE:.0f} % of the area in the frame; not"
        " counted.",
        evidence=some(
            f"{at(image, box)}, in a frame of {image.width} × {image.height}"
            for image, box in found
        ),
        remedy="Check that the annotations are of these images in this size, or leave them out:"
        " --leave-out boxes-outside",
        images=_images(found),
        ids=counted.ids_of(_images(found)),
        cost=counted.share(len(_images(found))),
    )


def boxes_clipped(counted: Counted) -> Iterator[Finding]:
    """Yield counted boxes that go on beyond the frame by more than a hundredth of its side."""
    found = [
        (image, box)
        for image, box, fate in counted.boxes()
        if fate in ("counted", "small") and _beyond(image, box) > _BEYOND
    ]
    if found:
        yield Finding(
            code="boxes-clipped",
            severity="note",
            subject=f"{_boxes(found)} reaching beyond the frame, clipped to it before measuring.",
            evidence=_lines(found),
            images=_images(found),
        )


def duplicate_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield boxes of one label that lie in nearly the same place."""
    wanted = set(counted.classes)
    found: list[tuple[BoxedImage, Box]] = []
    lines = []
    for image in counted.images:
        for first, second in duplicates(image.boxes):
            box = image.boxes[second]
            if counted.spelling[box.label] in wanted:
                found.append((image, box))
                share = overlap(image.boxes[first], box)
                lines.append(f"{at(image, box)}, which overlaps another by {100 * share:.0f} %")
    if found:
        each = "each counted" if counted.rules.duplicates else "one of each counted"
        yield Finding(
            code="duplicate-boxes",
            severity="warning",
            subject=f"{_boxes(found)} lying on another of the same label (common area over"
            f" {100 * ALIKE:.0f} % of the joint one); {each}.",
            evidence=some(lines),
            remedy="affinage counts ANNOTATIONS --into TABLE --duplicates once"
            if counted.rules.duplicates
            else "Delete them in the program that annotates.",
            images=_images(found),
            ids=counted.ids_of(_images(found)),
            cost=counted.share(len(_images(found))) if counted.rules.duplicates else 0.0,
        )


def crowd_regions(counted: Counted) -> Iterator[Finding]:
    """Yield regions of many objects, whose number nobody knows."""
    found = [(image, box) for image, box, _ in counted.boxes() if box.crowd]
    if found:
        how = "each counted as one" if counted.rules.crowd else "not counted"
        yield Finding(
            code="crowd-regions",
            severity="note",
            subject=f"{several(len(found), 'crowd region')} in"
            f" {several(len(_images(found)), 'image')}; {how}. These images show more objects than"
            " their counts say.",
            evidence=_by_label(counted, found),
            remedy="If the counts must be exact, leave these images out: affinage counts ANNOTATIONS"
            " --into TABLE --leave-out crowd-regions",
            images=_images(found),
        )


def difficult_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield boxes that are marked as difficult or hidden."""
    found = [(image, box) for image, box, _ in counted.boxes() if box.difficult]
    if found:
        how = "counted like others" if counted.rules.difficult else "not counted"
        yield Finding(
            code="difficult-boxes",
            severity="note",
            subject=f"{_boxes(found)} marked as difficult, ignored or mostly hidden; {how}.",
            evidence=_by_label(counted, found),
            remedy="affinage counts ANNOTATIONS --into TABLE --difficult skip"
            if counted.rules.difficult
            else "",
            images=_images(found),
        )


def small_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield what the smallest box at the training size takes from each class."""
    every: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for _, box, fate in counted.boxes():
        if fate in ("counted", "small"):
            every[counted.spelling[box.label]] += 1
            small[counted.spelling[box.label]] += fate == "small"
    shares = sorted(((n / every[name], name) for name, n in small.items() if n), reverse=True)
    if not shares:
        return
    much = [one for one in shares if one[0] >= _MUCH] or shares
    told = [f"{_percent(share)} of {name}" for share, name in much[:3]]
    rule = f"A smallest box of {counted.rules.min_box:g} px{_at_size(counted)}"
    yield Finding(
        code="small-boxes",
        severity="note",
        subject=f"{rule} drops {several(small.total(), 'box', 'boxes')} of {every.total():,}:"
        f" {', '.join(told)}.",
        evidence=some(f"'{name}': {small[name]:,} of {every[name]:,} boxes" for _, name in shares),
    )
    gone = [name for share, name in shares if share == 1]
    if gone:
        yield Finding(
            code="class-vanishes",
            severity="warning",
            subject=f"{rule} drops every box of {several(len(gone), 'class', 'classes')}:"
            f" {', '.join(gone[:5])}.",
            evidence=some(f"'{name}': {small[name]:,} boxes" for name in gone),
            remedy="Train at a larger --size, lower --min-box, or leave them out with --classes.",
        )


def _with(counted: Counted, fate: Fate) -> Found:
    return [(image, box) for image, box, found in counted.boxes() if found == fate]


def _boxes(found: Found) -> str:
    return f"{several(len(found), 'box', 'boxes')} in {several(len(_images(found)), 'image')}"


def _images(found: Found) -> tuple[str, ...]:
    return tuple(dict.fromkeys(image.path for image, _ in found))


def _lines(found: Found) -> tuple[str, ...]:
    return some(at(image, box) for image, box in found)


def _by_label(counted: Counted, found: Found) -> tuple[str, ...]:
    labels = Counter(counted.spelling[box.label] for _, box in found)
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    return some(f"'{name}': {number:,}" for name, number in ordered)


def _beyond(image: BoxedImage, box: Box) -> float:
    across = max(-box.x1, box.x2 - image.width) / image.width
    down = max(-box.y1, box.y2 - image.height) / image.height
    return max(across, down) if math.isfinite(across + down) else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "under 1 %"


def _at_size(counted: Counted) -> str:
    size = counted.rules.size
    return f" at {size[0]} × {size[1]}" if size else " at the images' own sizes"
