"""Every check of boxes, in the order in which findings of one severity and cost are told."""

from collections.abc import Callable, Iterator

from affinage.datasets.boxes.box_findings import (
    boxes_clipped,
    boxes_outside,
    crowd_regions,
    difficult_boxes,
    duplicate_boxes,
    empty_boxes,
    not_numbers,
    small_boxes,
    thin_boxes,
)
from affinage.datasets.boxes.counted import Counted
from affinage.datasets.boxes.image_findings import (
    boxes_missing,
    broken_annotations,
    frames_turned,
    images_not_usable,
    label_variants,
    listed_twice,
    malformed_boxes,
    not_annotated,
    unknown_categories,
    unknown_images,
    without_boxes,
)
from affinage.records.finding import Finding

COMMAND = "affinage counts ANNOTATIONS --into TABLE"
"""How remedies begin; the verb puts in what it was called with."""

Check = Callable[[Counted], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    broken_annotations,
    malformed_boxes,
    images_not_usable,
    boxes_missing,
    duplicate_boxes,
    empty_boxes,
    thin_boxes,
    not_numbers,
    boxes_outside,
    frames_turned,
    listed_twice,
    unknown_categories,
    unknown_images,
    label_variants,
    small_boxes,
    crowd_regions,
    difficult_boxes,
    boxes_clipped,
    without_boxes,
    not_annotated,
)


def findings_of(counted: Counted) -> list[Finding]:
    """Return what the owner of annotations should know, the gravest and costliest first."""
    found = [finding for check in CHECKS for finding in check(counted)]
    order = {severity: rank for rank, severity in enumerate(("blocking", "warning", "note"))}
    return sorted(found, key=lambda finding: (order[finding.severity], -finding.cost))
