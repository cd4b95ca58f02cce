"""Every check of a data set, in the order in which its findings are told."""

from collections.abc import Callable, Iterator

from affinage.auditing.balance import class_imbalance, small_classes
from affinage.auditing.copies import conflicting_labels, exact_duplicates
from affinage.auditing.evidence import Evidence
from affinage.auditing.groups import suggested_group
from affinage.auditing.labels import label_variants, unlabelled_images
from affinage.auditing.layout import folders_look_like_parts, ignored_files
from affinage.auditing.reading import odd_sizes, read_specially, unreadable_images, wrong_extensions
from affinage.records.finding import Finding

Check = Callable[[Evidence], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    unreadable_images,
    conflicting_labels,
    unlabelled_images,
    folders_look_like_parts,
    label_variants,
    exact_duplicates,
    small_classes,
    class_imbalance,
    odd_sizes,
    suggested_group,
    wrong_extensions,
    read_specially,
    ignored_files,
)


def audit(evidence: Evidence) -> list[Finding]:
    """Return what the owner of a data set should know, the gravest and costliest first.

    A check whose evidence was not gathered (no features, no decode pass) yields nothing.
    """
    findings = [finding for check in CHECKS for finding in check(evidence)]
    order = {severity: rank for rank, severity in enumerate(("blocking", "warning", "note"))}
    return sorted(findings, key=lambda finding: (order[finding.severity], -finding.cost))
