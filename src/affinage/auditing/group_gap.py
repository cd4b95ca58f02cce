"""Groups: what a split at random would have told too much, because images of one group are alike."""

import re
from collections.abc import Iterator
from shlex import quote

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.source_features import compact
from affinage.heads.folds import assign_folds
from affinage.heads.linear import choose_penalty, fit_linear
from affinage.metrics.intervals import percentile_estimate
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.manifest import SCHEMA
from affinage.records.words import in_percent

MATTERS = 0.01
"""Gap below which nothing is said: less than the scores of two trainings differ."""

FOLDS, LEAST_GROUPS = 5, 10
REPEATED = 5_000
"""Images from which on the folds are dealt once; fewer are dealt three times, for a steadier mean."""

MEASURED = 20_000
"""Images that are used at most, whole groups of them."""

COLUMNS = 3
"""Columns that nobody named, but that look like groups, tried at most."""

PENALTIES = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
DRAWS = 1000

_OWN = {*SCHEMA, "raw_label", "bytes", "modified"}
_TELLING = re.compile(
    r"(^|[_ .-])(patient|subject|person|people|slide|case|donor|animal|plant|specimen|individual"
    r"|site|hospital|clinic|camera|location|place|scene|video|clip|sequence|session|series|batch"
    r"|plate|well|farm|field|domain|group|author|writer|speaker|photographer|user)s?($|[_ .-]|id$)",
    re.IGNORECASE,
)


def group_gap(evidence: Evidence) -> Iterator[Finding]:
    """Yield by how much folds dealt at random flatter a head, against folds that keep groups together.

    The groups are those of `evidence.group`, of which the two accuracies are told in any case, or else
    of columns that look like groups, of which only a gap is told. Both kinds of
    folds have the same number of images of each class and the same penalty, so that only who is
    together differs.
    """
    if evidence.features is None or len(evidence.classes) < 2:
        return
    columns = group_like_columns(evidence.images)[:COLUMNS]
    columns = [evidence.group] if evidence.group in evidence.images.columns else columns
    rows = compact(evidence.features) if columns else np.zeros((0, 0), np.float32)
    for column in columns:
        found = gap_of(evidence, column, rows)
        if found is None:
            continue
        large = (found[2].low or 0) > 0 and (found[2].value or 0) >= MATTERS
        if large or column == evidence.group:
            yield _finding(column, evidence, *found, large=large)


def group_like_columns(images: pl.DataFrame) -> list[str]:
    """Return the user's columns named like a patient, slide or place whose values images share."""
    found = []
    for name in images.columns:
        if name in _OWN or not _TELLING.search(name):
            continue
        values = images[name].drop_nulls()
        if 2 <= values.n_unique() <= 0.9 * len(values):
            found.append(name)
    return found


def gap_of(
    evidence: Evidence, column: str, rows: NDArray[np.float32]
) -> tuple[float, float, Estimate] | None:
    """Return the accuracy at random, the accuracy with groups together, and their difference.

    The interval is a bootstrap over groups: images of one group are right or wrong together.

    Args:
        evidence: Of the data set.
        column: Names the groups; an image without a value is a group of its own.
        rows: Short features of all images, shape (n, d).

    Returns:
        None where there are fewer than 10 groups, or one is so large that no fold can hold it.

    Source:
        Field & Welsh, Bootstrapping Clustered Data, 2007.
    """
    ids = evidence.ids
    values = evidence.images[column].to_list()
    names = [f"image {i}" if v is None else f"group {v}" for i, v in zip(ids, values, strict=True)]
    _, group = np.unique(np.array(names, dtype=object), return_inverse=True)
    chosen = _whole_groups(group.reshape(-1))
    group, labels = group.reshape(-1)[chosen], evidence.labels[chosen]
    sizes = np.bincount(group)
    if (sizes > 0).sum() < LEAST_GROUPS or sizes.max() > 1.5 * len(group) / FOLDS:
        return None
    kept = [ids[i] for i in chosen.tolist()]
    penalty = choose_penalty(
        rows[chosen],
        labels,
        len(evidence.classes),
        penalties=PENALTIES,
        folds=3,
        seed=0,
        ids=kept,
        groups=group,
    ).penalty
    repeats = 1 if len(group) > REPEATED else 3
    right = np.zeros((2, len(group)))
    for seed in range(repeats):
        together = assign_folds(labels, kept, folds=FOLDS, seed=seed, groups=group)
        for kind, part in enumerate((_dealt_alike(together, labels, seed), together)):
            evidence.progress(f"folds by {column}", 2 * seed + kind, 2 * repeats)
            right[kind] += _right(rows[chosen], labels, part, len(evidence.classes), penalty)
    right /= repeats
    return (
        float(right[0].mean()),
        float(right[1].mean()),
        _difference(right[0] - right[1], group),
    )


def _whole_groups(group: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the positions of all images, or of whole groups up to `MEASURED` images."""
    if len(group) <= MEASURED:
        return np.arange(len(group))
    sizes = np.bincount(group)
    order = np.random.default_rng(0).permutation(len(sizes))
    taken = order[np.cumsum(sizes[order]) <= MEASURED]
    return np.flatnonzero(np.isin(group, taken))


def _dealt_alike(
    part: NDArray[np.int64], labels: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Return the folds shuffled among the images of each class: as many of each, but at random."""
    random = np.random.default_rng(seed)
    dealt = part.copy()
    for label in np.unique(labels).tolist():
        own = np.flatnonzero(labels == label)
        dealt[own] = part[random.permutation(own)]
    return dealt


def _right(
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    part: NDArray[np.int64],
    classes: int,
    penalty: float,
) -> NDArray[np.float64]:
    """Return 1 for each image that a head fitted on the other folds answers right, else 0."""
    right = np.zeros(len(labels))
    start = None
    for number in range(int(part.max()) + 1):
        out = part == number
        if out.all() or not out.any():
            continue
        start = fit_linear(rows[~out], labels[~out], classes, penalty=penalty, start=start)
        right[out] = start.logits(rows[out]).argmax(axis=1) == labels[out]
    return right


def _difference(each: NDArray[np.float64], group: NDArray[np.intp]) -> Estimate:
    """Return the mean difference with its interval by drawing groups anew."""
    _, index = np.unique(group, return_inverse=True)
    sums, sizes = np.bincount(index, weights=each), np.bincount(index)
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(sizes), size=(DRAWS, len(sizes)))
    redrawn = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return percentile_estimate(float(each.mean()), redrawn, len(each))


def _finding(
    column: str,
    evidence: Evidence,
    at_random: float,
    together: float,
    gap: Estimate,
    *,
    large: bool,
) -> Finding:
    value, low, high = (round(100 * (end or 0), 1) + 0.0 for end in (gap.value, gap.low, gap.high))
    scores = (
        f"accuracy {in_percent(at_random, 1)} with images dealt at random, {in_percent(together, 1)}"
        f" with each '{column}' kept together"
    )
    groups = evidence.images[column].n_unique()
    return Finding(
        code="group-gap",
        severity="warning" if large else "note",
        subject=f"A split at random would have told {value:.1f} points too much: {scores}."
        if large
        else f"A split at random would hardly have flattered: {scores}.",
        evidence=(
            f"difference on the same {gap.n:,} images: {value:.1f} points [{low:.1f}, {high:.1f}]",
            f"{groups:,} values of '{column}'; a linear head on frozen features, {FOLDS} folds, as many"
            " images of each class in each fold of both kinds",
        ),
        remedy=f"affinage split DATA --group {quote(column)}" if large else "",
        cost=max(0.0, float(gap.value or 0)) if large else 0.0,
    )
