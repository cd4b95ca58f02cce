"""The same bytes in several places: harmless under one label, a contradiction under two."""

from collections.abc import Iterator

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.records.finding import Finding


def conflicting_labels(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that stand under several labels, all of which are left out."""
    decoded = evidence.manifest.table.filter(
        pl.col("status") == "excluded",
        pl.col("image").is_not_null(),
        pl.col("reason").str.starts_with("same bytes under labels "),
    )
    conflicts = _copies(decoded).filter(pl.col("labels").list.len() > 1)
    if conflicts.height:
        yield Finding(
            code="conflicting-labels",
            severity="warning",
            subject=f"{count(conflicts.height, 'image')} under several labels at once"
            f" ({conflicts['paths'].list.len().sum():,} files), left out.",
            evidence=lines(
                f"{' = '.join(paths)} (under {', '.join(labels)})"
                for paths, labels in conflicts.select("paths", "labels").iter_rows()
            ),
            remedy="Give each its right label: affinage relabel DATA --image PATH --label LABEL",
            images=_paths(conflicts),
        )


def exact_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that are there more than once under one label."""
    copies = _copies(evidence.manifest.kept).filter(pl.col("paths").list.len() > 1)
    if copies.height:
        files = int(copies["paths"].list.len().sum())
        yield Finding(
            code="exact-duplicates",
            severity="note",
            subject=f"{count(copies.height, 'image')} stored more than once ({files:,} files);"
            " each counts once.",
            evidence=lines(" = ".join(paths) for paths in copies["paths"]),
            remedy="Nothing is needed; deleting the copies saves room.",
            images=_paths(copies),
        )


def _copies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return image, paths (sorted) and labels (sorted, unique), in order of the first path."""
    return (
        rows.group_by("image")
        .agg(pl.col("path").sort().alias("paths"), pl.col("label").unique().sort().alias("labels"))
        .sort(pl.col("paths").list.first(), "image")
    )


def _paths(copies: pl.DataFrame) -> tuple[str, ...]:
    return tuple(copies["paths"].explode(empty_as_null=True).to_list())
