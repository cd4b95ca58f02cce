"""What each image is to be predicted as: a label, a set of labels, or counts, from a manifest's columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.datasets.labels import in_order
from affinage.errors import DataError
from affinage.records.manifest import COUNT, LABELS, TAG, Manifest, split_labels
from affinage.records.task import Task

_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What images are to be predicted as.

    Attributes:
        names: Class names, in the order of the columns of `values` or of its indices.
        images: Ids, sorted.
        values: int64 of shape (n,), indices of labels; float32 of shape (n, classes), 0 and 1 for sets
            of labels, or counts.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    values: NDArray[np.int64] | NDArray[np.float32]


def for_task(manifest: Manifest, task: Task) -> Manifest:
    """Return the manifest with rows left out that the task cannot use, and each one's reason.

    Raises:
        DataError: If the source does not carry what the task predicts, or no row is left.
    """
    if task.target == "label":
        _check_labels(manifest)
        return manifest
    names = _names(manifest, task)
    values, reasons = _values(manifest.table, names, task)
    kept = pl.col("status") == "kept"
    table = manifest.table.with_columns(pl.Series("why", reasons, dtype=pl.String))
    wrong = kept & pl.col("why").is_not_null()
    table = table.with_columns(
        pl.when(wrong).then(pl.lit("excluded")).otherwise("status").alias("status"),
        pl.when(wrong).then("why").otherwise("reason").alias("reason"),
    ).drop("why")
    table = _without_contradictions(table, values)
    if not (table["status"] == "kept").any():
        first = next((reason for reason in reasons if reason), "none is kept")
        raise DataError(
            f"No row carries what the task '{task.name}' needs: {first}.",
            remedy=_LAYOUT[task.target],
        )
    return replace(manifest, table=table)


def read_targets(manifest: Manifest, task: Task) -> Targets:
    """Return the targets of every kept image of a manifest that `for_task` gave.

    Raises:
        DataError: If the source does not carry what the task predicts.
    """
    rows = manifest.kept.sort("source", "path").unique("image", keep="first", maintain_order=True)
    rows = rows.sort("image")
    images = tuple(rows["image"].to_list())
    if task.target == "label":
        names = manifest.label_order
        index = {label: number for number, label in enumerate(names)}
        labels = np.array([index[label] for label in rows["label"].to_list()], dtype=np.int64)
        return Targets(names=names, images=images, values=labels)
    names = _names(manifest, task)
    values, _ = _values(rows, names, task)
    return Targets(names=names, images=images, values=values)


def labelled(manifest: Manifest) -> bool:
    """Return whether images have one label each; else strata are no classes that anyone named."""
    return bool(manifest.label_order) or bool(manifest.table["label"].is_not_null().any())


def strata(manifest: Manifest) -> pl.Series:
    """Return the stratum of each row, by which parts are cut in proportion: its label where it has one.

    A set of labels is a stratum of its own; counts are put together by the doublings of their sum (0,
    1, 2-3, 4-7, ...), so that an image's stratum never depends on the other images.
    """
    table = manifest.table
    if labelled(manifest):
        return table["label"]
    counted = [name for name in table.columns if name.startswith(COUNT)]
    if counted:
        total = table.select(
            pl.sum_horizontal(pl.col(name).cast(pl.Float64, strict=False) for name in counted)
        ).to_series()
        return pl.Series("label", [_doubling(value) for value in total.to_list()])
    tagged = [name for name in table.columns if name.startswith(TAG)]
    if tagged:
        rows = table.select(tagged).iter_rows()
        sets = [
            _set(tuple(n for n, v in zip(tagged, row, strict=True) if _is_yes(v))) for row in rows
        ]
        return pl.Series("label", [name.replace(TAG, "") for name in sets])
    if LABELS in table.columns:
        return pl.Series("label", [_set(split_labels(text)) for text in table[LABELS].to_list()])
    return table["label"].fill_null("")


_LAYOUT = {
    "labels": "Give a table with path,labels (a;b;c), or with columns label:NAME of 0 and 1.",
    "counts": "Give a table with path and a column count:NAME for each class, as `affinage counts`"
    " writes it, or name the columns: --set count.columns=NAME,NAME",
}


def _check_labels(manifest: Manifest) -> None:
    kept = manifest.kept
    if kept["label"].is_not_null().any() or not kept.height:
        return
    counted = any(name.startswith(COUNT) for name in kept.columns)
    raise DataError(
        "The table has no column 'label', but "
        + ("counts of objects." if counted else "several labels for an image."),
        remedy=f"Say what is to be predicted: --task {'count' if counted else 'multilabel'}",
    )


def _names(manifest: Manifest, task: Task) -> tuple[str, ...]:
    columns = manifest.table.columns
    counted = tuple(name.removeprefix(COUNT) for name in columns if name.startswith(COUNT))
    names = counted if task.target == "counts" else _tag_names(manifest) or counted
    if not names:
        raise DataError(
            f"The source carries nothing that the task '{task.name}' could learn"
            f" ({'labels, but no counts' if manifest.label_order else 'no labels'}).",
            remedy=_LAYOUT[task.target],
        )
    return names


def _tag_names(manifest: Manifest) -> tuple[str, ...]:
    table = manifest.table
    tagged = tuple(name.removeprefix(TAG) for name in table.columns if name.startswith(TAG))
    if tagged:
        return tagged
    if LABELS in table.columns:
        kept = manifest.kept[LABELS].to_list()
        return in_order({tag for text in kept for tag in split_labels(text)})
    return manifest.label_order  # One label each is a set of labels too.


def _values(
    table: pl.DataFrame, names: Sequence[str], task: Task
) -> tuple[NDArray[np.float32], list[str | None]]:
    """Return the targets of each row, and why it has none; null where it has."""
    if task.target == "counts":
        return _counts(table, names)
    if all(f"{TAG}{name}" in table.columns for name in names):
        return _switches(table, names)
    if LABELS in table.columns:
        sets = [split_labels(text) for text in table[LABELS].to_list()]
    elif all(f"{COUNT}{name}" in table.columns for name in names):
        counts, reasons = _counts(table, names)
        return (counts > 0).astype(np.float32), reasons
    else:
        sets = [(label,) if label is not None else () for label in table["label"].to_list()]
    place = {name: index for index, name in enumerate(names)}
    values = np.zeros((table.height, len(names)), dtype=np.float32)
    for row, tags in enumerate(sets):
        values[row, [place[tag] for tag in tags if tag in place]] = 1
    return values, [None] * table.height


def _counts(
    table: pl.DataFrame, names: Sequence[str]
) -> tuple[NDArray[np.float32], list[str | None]]:
    values = np.zeros((table.height, len(names)), dtype=np.float32)
    reasons: list[str | None] = [None] * table.height
    for index, name in enumerate(names):
        texts = table[f"{COUNT}{name}"].to_list()
        numbers = table[f"{COUNT}{name}"].cast(pl.Float64, strict=False).to_list()
        for row, (text, number) in enumerate(zip(texts, numbers, strict=True)):
            if text is None:
                reasons[row] = f"without a count of {name}"
            elif number is None or not np.isfinite(number) or number < 0:
                reasons[row] = f"'{text}' is not a count of {name}"
            else:
                values[row, index] = number
    return values, reasons


def _switches(
    table: pl.DataFrame, names: Sequence[str]
) -> tuple[NDArray[np.float32], list[str | None]]:
    values = np.zeros((table.height, len(names)), dtype=np.float32)
    reasons: list[str | None] = [None] * table.height
    for index, name in enumerate(names):
        for row, text in enumerate(table[f"{TAG}{name}"].to_list()):
            if _is_yes(text):
                values[row, index] = 1
            elif text is None or text.strip().lower() not in _NO:
                reasons[row] = f"'{text or ''}' is neither 0 nor 1 for {name}"
    return values, reasons


def _without_contradictions(table: pl.DataFrame, values: NDArray[np.float32]) -> pl.DataFrame:
    """Leave out images whose rows disagree: which of them is right nobody can know."""
    told = pl.Series("told", [row.tobytes() for row in values], dtype=pl.Binary)
    several = (
        table.with_columns(told)
        .filter(pl.col("status") == "kept")
        .group_by("image")
        .agg(pl.col("told").n_unique().alias("n"))
        .filter(pl.col("n") > 1)["image"]
        .to_list()
    )
    hit = (pl.col("status") == "kept") & pl.col("image").is_in(several)
    why = pl.lit("same bytes with different answers in the table")
    return table.with_columns(
        pl.when(hit).then(pl.lit("excluded")).otherwise("status").alias("status"),
        pl.when(hit).then(why).otherwise("reason").alias("reason"),
    )


def _is_yes(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _YES


def _set(tags: Sequence[str]) -> str:
    return " + ".join(sorted(tags)) or "none"


def _doubling(total: float | None) -> str:
    if total is None or not total >= 1:
        return "0 objects"
    low = 1 << (int(total).bit_length() - 1)
    return "1 object" if low == 1 else f"{low} to {2 * low - 1} objects"
