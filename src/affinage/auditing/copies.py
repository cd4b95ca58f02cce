"""The same bytes in several places: harmless under one label, a contradiction under two."""

from collections.abc import Iterator, Sequence

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.records.finding import Finding

SHOWN = 6
"""Files of one image that a line of evidence names at most."""


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
            f" ({_places(conflicts)}), left out.",
            evidence=lines(
                f"{_same(paths, rows)} (under {', '.join(labels)})"
                for paths, rows, labels in conflicts.select("paths", "rows", "labels").iter_rows()
            ),
            remedy="Give each its right label: affinage relabel DATA --image PATH --label LABEL",
            images=_paths(conflicts),
        )


def exact_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that are there more than once under one label.

    Rows of a table may name one file, and addresses may have brought the same bytes: such an image
    is stored once, and there is nothing to delete.
    """
    copies = _copies(evidence.manifest.kept).filter(pl.col("rows") > 1)
    if copies.height:
        stored = bool((copies["paths"].list.len() > 1).any())
        yield Finding(
            code="exact-duplicates",
            severity="note",
            subject=f"{count(copies.height, 'image')}"
            f" {'stored' if stored else 'named'} more than once ({_places(copies)});"
            " each counts once.",
            evidence=lines(
                _same(paths, rows) for paths, rows in copies.select("paths", "rows").iter_rows()
            ),
            remedy="Nothing is needed"
            + ("; deleting the copies saves room." if stored else ": each is stored once."),
            images=_paths(copies),
        )


def _copies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return image, paths and labels (sorted, unique) and the number of rows, by the first path."""
    again = rows.filter(pl.col("image").is_duplicated())
    return (
        again.group_by("image")
        .agg(
            pl.col("path").unique().sort().alias("paths"),
            pl.struct("source", "path").n_unique().alias("files"),
            pl.len().alias("rows"),
            pl.col("label").unique().sort().alias("labels"),
        )
        .sort(pl.col("paths").list.first(), "image")
    )


def _places(copies: pl.DataFrame) -> str:
    rows, files = int(copies["rows"].sum()), int(copies["files"].sum())
    return count(files, "file") if files == rows else f"{rows:,} rows, {count(files, 'file')}"


def _same(paths: Sequence[str], rows: int) -> str:
    """Return which files are the same; of one file, how many rows name it."""
    if len(paths) == 1:
        return f"{paths[0]} ({rows:,} rows)"
    more = len(paths) - SHOWN
    return " = ".join(paths[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _paths(copies: pl.DataFrame) -> tuple[str, ...]:
    return tuple(copies["paths"].explode(empty_as_null=True).to_list())
