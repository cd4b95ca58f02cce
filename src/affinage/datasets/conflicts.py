"""The same bytes under two labels: judged anew whenever rows or labels change."""

from collections.abc import Sequence

import polars as pl

from affinage.datasets.labels import in_order, without_conflicts
from affinage.records.manifest import Manifest

_REASON = "same bytes under labels "  # As `labels.without_conflicts` gives it.


def in_conflict() -> pl.Expr:
    """Return the expression that is true of rows left out for their image's several labels."""
    told = pl.col("reason").str.starts_with(_REASON).fill_null(value=False)
    return told & (pl.col("status") == "excluded")


def lifted(table: pl.DataFrame) -> pl.DataFrame:
    """Return a manifest's table in which rows that were left out for a conflict are kept."""
    return with_status(table, in_conflict(), "kept", pl.lit(None, pl.String))


def judged(manifest: Manifest, table: pl.DataFrame) -> Manifest:
    """Return a manifest of other rows: conflicts are left out, and classes without images.

    Args:
        manifest: Gives the sources, and the order of the classes where these are the same.
        table: Rows without conflicts left out, as `lifted` returns them.
    """
    kept = table.select("image", "label", "status", "reason").filter(pl.col("status") == "kept")
    copies = kept.filter(
        pl.col("image").hash().is_duplicated()
    )  # A collision only adds candidates.
    reasons = without_conflicts(copies).filter(in_conflict()).select("image", "reason").unique()
    if reasons.height:
        images, told = reasons["image"].to_list(), reasons["reason"].to_list()
        hit = (pl.col("status") == "kept") & pl.col("image").is_in(images)
        why = pl.col("image").replace_strict(images, told, default=None, return_dtype=pl.String)
        table = with_status(table, hit, "excluded", why)
    labels = table.select(pl.col("label").filter(pl.col("status") == "kept").drop_nulls().unique())
    names = labels["label"].to_list()
    order = manifest.label_order if set(names) == set(manifest.label_order) else in_order(names)
    return Manifest(table=table, sources=manifest.sources, label_order=order)


def failed(manifest: Manifest, keys: Sequence[str], reason: str) -> Manifest:
    """Return a manifest in which the rows of these keys have failed."""
    if not keys:
        return manifest
    table = lifted(manifest.table)
    hit = pl.col("key").is_in(list(keys))
    return judged(manifest, with_status(table, hit, "failed", pl.lit(reason)))


def with_status(table: pl.DataFrame, hit: pl.Expr, status: str, reason: pl.Expr) -> pl.DataFrame:
    """Return a manifest's table in which some rows have another status and reason."""
    return table.with_columns(
        pl.when(hit).then(pl.lit(status)).otherwise("status").alias("status"),
        pl.when(hit).then(reason).otherwise("reason").alias("reason"),
    )
