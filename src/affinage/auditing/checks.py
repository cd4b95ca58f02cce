"""Every check of a data set, in the order in which its findings are told."""

from collections.abc import Callable, Iterable, Iterator

from affinage.auditing.balance import class_imbalance, classes_without_images, small_classes
from affinage.auditing.copies import conflicting_labels, exact_duplicates
from affinage.auditing.evidence import Evidence
from affinage.auditing.exposure import blank_images, bright_images, dark_images
from affinage.auditing.greyness import grey_among_colour
from affinage.auditing.group_gap import group_gap
from affinage.auditing.groups import suggested_group
from affinage.auditing.labels import label_variants, not_collected, unlabelled_images
from affinage.auditing.layout import folders_look_like_parts, ignored_files
from affinage.auditing.near_findings import leaks_across_parts, near_conflicts, near_duplicates
from affinage.auditing.off_topic import off_topic
from affinage.auditing.placeholders import placeholder_images, repeated_pictures
from affinage.auditing.reading import read_specially, unreadable_images, wrong_extensions
from affinage.auditing.sharpness import blurred_images
from affinage.auditing.shift import shift
from affinage.auditing.shortcuts import shortcuts
from affinage.auditing.sizes import odd_aspect, one_size_among_others, tiny_images
from affinage.auditing.source_quality import sources
from affinage.auditing.wrong_labels import wrong_labels
from affinage.records.finding import Finding

Check = Callable[[Evidence], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    unreadable_images,
    classes_without_images,
    conflicting_labels,
    unlabelled_images,
    not_collected,
    folders_look_like_parts,
    label_variants,
    leaks_across_parts,
    sources,
    wrong_labels,
    off_topic,
    near_conflicts,
    shortcuts,
    group_gap,
    shift,
    near_duplicates,
    exact_duplicates,
    blank_images,
    placeholder_images,
    repeated_pictures,
    dark_images,
    bright_images,
    blurred_images,
    tiny_images,
    odd_aspect,
    one_size_among_others,
    grey_among_colour,
    small_classes,
    class_imbalance,
    suggested_group,
    wrong_extensions,
    read_specially,
    ignored_files,
)


DEEP = frozenset(
    (
        "near-duplicates",
        "near-conflicts",
        "leaks-across-parts",
        "wrong-labels",
        "off-topic",
        "bad-sources",
        "group-gap",
        "shift",
    )
)
"""Codes of findings that need features: a quick look cannot make them, and so cannot unmake them."""


def audit(evidence: Evidence) -> list[Finding]:
    """Return what the owner of a data set should know, the gravest and costliest first.

    A check whose evidence was not gathered (no features, no decode pass) yields nothing.
    """
    return by_cost(finding for check in CHECKS for finding in check(evidence))


def by_cost(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in their order: the gravest and costliest first."""
    order = {severity: rank for rank, severity in enumerate(("blocking", "warning", "note"))}
    return sorted(findings, key=lambda finding: (order[finding.severity], -finding.cost))
