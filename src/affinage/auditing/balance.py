"""How many images each class has: enough to learn from, and in what proportion."""

from collections.abc import Iterator

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest
from affinage.records.words import in_percent

_FEW = 10
_LOPSIDED = 10


def small_classes(evidence: Evidence) -> Iterator[Finding]:
    """Yield the classes with fewer than 10 different images."""
    small = [(label, n) for label, n in _sizes(evidence.manifest) if n < _FEW]
    if small:
        yield Finding(
            code="small-classes",
            severity="warning",
            subject=f"{count(len(small), 'class', 'classes')} with fewer than {_FEW} images.",
            evidence=lines(f"'{label}': {count(n, 'image')}" for label, n in small),
            remedy="Add images of these classes; their scores will be little more than chance.",
        )


def classes_without_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the labels of which no file could be read: the model will not know them."""
    table = evidence.manifest.table.filter(pl.col("label").is_not_null())
    kept = evidence.manifest.kept["label"].unique()
    lost = table.filter((pl.col("status") == "failed") & ~pl.col("label").is_in(kept.implode()))
    sizes = lost.group_by("label").len().sort("label").rows()
    if sizes:
        yield Finding(
            code="class-without-images",
            severity="warning",
            subject=f"{count(len(sizes), 'class', 'classes')} without any image that can be used: unknown"
            " to every model.",
            evidence=lines(f"'{label}': {count(n, 'file')} not read" for label, n in sizes),
            remedy="See under `unreadable-images` why; then mend these files, or remove the label.",
            images=tuple(lost["path"].sort().to_list()),
        )


def class_imbalance(evidence: Evidence) -> Iterator[Finding]:
    """Yield that the largest class has more than 10 times the images of the smallest."""
    sizes = _sizes(evidence.manifest)
    if len(sizes) < 2:
        return
    (small, least), (large, most) = sizes[0], sizes[-1]
    if most > _LOPSIDED * least:
        total = sum(n for _, n in sizes)
        yield Finding(
            code="class-imbalance",
            severity="note",
            subject=f"'{large}' has {most / least:.0f} times as many images as '{small}'.",
            evidence=(
                f"'{large}': {most:,} images; always answering it scores {in_percent(most / total, 1)}",
                f"'{small}': {count(least, 'image')}",
            ),
            remedy="Judge by the balanced accuracy and by each class's recall.",
        )


def _sizes(manifest: Manifest) -> list[tuple[str, int]]:
    """Return (label, different images), the smallest class first."""
    sizes = manifest.kept.group_by("label").agg(pl.col("image").n_unique().alias("n"))
    return [(label, n) for label, n in sizes.sort("n", "label").iter_rows()]
