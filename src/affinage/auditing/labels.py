"""Labels that are missing or written in several ways, and rows that were never fetched."""

from collections.abc import Iterator

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import SHOWN, count, first, lines
from affinage.records.finding import Finding


def label_variants(evidence: Evidence) -> Iterator[Finding]:
    """Yield labels that differ only by case, space or Unicode form, and were taken as one."""
    if "raw_label" not in evidence.manifest.table.columns:
        return
    written = pl.col("raw_label").str.normalize("NFC").str.strip_chars().str.to_lowercase()
    rows = evidence.manifest.table.filter(  # A label that its owner has changed is no variant.
        pl.col("label").is_not_null() & (written == pl.col("label").str.to_lowercase())
    )
    spellings = rows.group_by("label", "raw_label").agg(
        pl.len().alias("n"), pl.col("path").sort().alias("paths")
    )
    merged = spellings.filter(pl.len().over("label") > 1).sort("label", "raw_label")
    if merged.height:
        labels = merged["label"].unique().sort().to_list()
        others = merged.filter(pl.col("label") != pl.col("raw_label"))
        ways_of = []
        for label in labels:
            ways = merged.filter(pl.col("label") == label).sort("n", descending=True)
            listed = ", ".join(
                f"{raw!r} ({n:,})" for raw, n in ways.select("raw_label", "n").iter_rows()
            )
            ways_of.append(f"{listed} → '{label}'")
        yield Finding(
            code="label-variants",
            severity="warning",
            subject=f"{count(len(labels), 'label')} written in several ways, differing only by"
            " case, space or Unicode form; each was taken as one class.",
            evidence=lines(ways_of, shown=2 * SHOWN),
            remedy="Use one spelling; different classes need clearly different names.",
            images=tuple(others["paths"].explode(empty_as_null=True).sort().to_list()),
        )


def unlabelled_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield images that nothing says the class or the part of, by reason."""
    rows = _without_image(evidence).filter(pl.col("path") != "")
    if rows.height:
        yield Finding(
            code="unlabelled-images",
            severity="warning",
            subject=f"{count(rows.height, 'image')} left out, without a class or a part.",
            evidence=lines(
                (f"{len(paths):,} {reason}: {first(paths)}" for reason, paths in _by_reason(rows)),
                shown=2 * SHOWN,
            ),
            remedy="Move them into their class's folder (or fill in the table), or delete them.",
            images=tuple(rows["path"].sort().to_list()),
        )


def not_collected(evidence: Evidence) -> Iterator[Finding]:
    """Yield the rows that `affinage collect` left out on purpose: they have no file, so no path."""
    rows = _without_image(evidence).filter(pl.col("path") == "")
    if rows.height:
        reasons = sorted(_by_reason(rows), key=lambda pair: (-len(pair[1]), pair[0]))
        yield Finding(
            code="not-collected",
            severity="note",
            subject=f"{count(rows.height, 'row')} of the table left out on purpose when it was"
            " collected; nothing was kept of them.",
            evidence=lines((f"{len(paths):,} × {reason}" for reason, paths in reasons)),
            remedy="Nothing is needed. To have them after all: give the collect command once more"
            " with another --per-class or --block.",
        )


def _without_image(evidence: Evidence) -> pl.DataFrame:
    return evidence.manifest.table.filter(pl.col("status") == "excluded", pl.col("image").is_null())


def _by_reason(rows: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    reasons = rows.group_by("reason").agg(pl.col("path").sort()).sort("reason")
    yield from reasons.iter_rows()
