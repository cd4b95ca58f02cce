"""Every check of a data set, in the order in which its findings are told."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from affinage.auditing.balance import class_imbalance, small_classes
from affinage.auditing.copies import conflicting_labels, exact_duplicates
from affinage.auditing.groups import suggested_group
from affinage.auditing.labels import label_variants, unlabelled_images
from affinage.auditing.layout import folders_look_like_parts, ignored_files
from affinage.auditing.reading import odd_sizes, read_specially, unreadable_images, wrong_extensions
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest

Check = Callable[[Manifest], Iterator[Finding]]
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
)


def audit(
    manifest: Manifest, *, ignored: Mapping[str, Sequence[str]] | None = None
) -> list[Finding]:
    """Return what the owner of a data set should know about it before any training.

    Args:
        manifest: As a scan made it.
        ignored: Relative paths of the files that are no images, by reason.
    """
    findings = [finding for check in CHECKS for finding in check(manifest)]
    return [*findings, *ignored_files(ignored or {})]
