"""Labels: one spelling for each, one order for all, and no image under two of them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import polars as pl

_DIGITS = re.compile(r"(\d+)")


def one_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Return the spelling to use for each label: those that differ only by case are one class.

    The most frequent spelling wins, among equals the first in order. Labels of one character stay
    apart: in a set of handwritten letters, 'a' and 'A' are two classes.

    Args:
        labels: The label of every image, in Unicode's composed form and stripped.
    """
    counts = Counter(labels)
    variants: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        variants[label if len(label) == 1 else label.casefold()].append(label)
    return {
        label: max(spellings, key=lambda spelling: counts[spelling])
        for spellings in variants.values()
        for label in spellings
    }


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels as people sort them: class 2 before class 10, whatever the case."""
    return tuple(sorted(labels, key=_natural))


def without_conflicts(table: pl.DataFrame) -> pl.DataFrame:
    """Return a manifest's table in which images that stand under several labels are excluded.

    Args:
        table: Columns of `SCHEMA`; whose bytes are right under both labels nobody can know.
    """
    conflicts = (
        table.filter(pl.col("status") == "kept")
        .group_by("image")
        .agg(pl.col("label").unique().sort().alias("labels"))
        .filter(pl.col("labels").list.len() > 1)
        .select(
            "image",
            (pl.lit("same bytes under labels ") + pl.col("labels").list.join(", ")).alias("why"),
        )
    )
    hit = pl.col("why").is_not_null() & (pl.col("status") == "kept")
    return (
        table.join(conflicts, on="image", how="left", maintain_order="left")
        .with_columns(
            pl.when(hit).then(pl.lit("excluded")).otherwise("status").alias("status"),
            pl.when(hit).then("why").otherwise("reason").alias("reason"),
        )
        .drop("why")
    )


def _natural(label: str) -> tuple[list[tuple[int, str]], str]:
    pieces = _DIGITS.split(label.casefold())
    return [(int(piece), "") if n % 2 else (-1, piece) for n, piece in enumerate(pieces)], label
