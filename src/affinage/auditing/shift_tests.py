"""Whether two sets of images differ, label by label, and in what."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from affinage.auditing.evidence import Evidence
from affinage.heads.folds import assign_folds
from affinage.heads.linear import fit_linear
from affinage.records.estimate import Estimate

AXES, PENALTY, FOLDS = 64, 0.1, 5
"""Of the head that tells the parts apart. Weak on purpose: it must find what differs throughout, not
remember single images. From 0.03 to 0.3 and 32 to 192 axes the result changes by 0.01 to 0.06."""

SHUFFLES = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoParts:
    """Images of two parts.

    Attributes:
        ids: Image ids.
        labels: Class indices, shape (n,).
        second: True where an image is of the second part, shape (n,).
        groups: Who is held out together; None where everyone stands alone.
    """

    ids: list[str]
    labels: NDArray[np.int64]
    second: NDArray[np.bool_]
    groups: list[str] | None = None


def told_apart(rows: NDArray[np.float32], parts: TwoParts) -> tuple[Estimate, NDArray[np.float64]]:
    """Return how well a head tells the second part from the first, and each image's score.

    The head is fitted in cross-validation with weights that make the label shares of both parts
    equal, and judged by the area under the curve within each label and fold: a difference in label
    shares alone leaves it at 0.5.

    Args:
        rows: Short features, shape (n, d).
        parts: Aligned with them.

    Returns:
        The area, 0.5 for parts alike, with its interval; log odds of the second part, shape (n,).

    Source:
        Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017; interval: Hanley & McNeil,
        The Meaning and Use of the Area under a ROC Curve, 1982.
    """
    target = parts.second.astype(np.int64)
    fold = assign_folds(
        2 * parts.labels + target, parts.ids, folds=FOLDS, seed=0, groups=parts.groups
    )
    weights = _balanced(parts)
    scores = np.zeros(len(target))
    for number in range(int(fold.max(initial=-1)) + 1):
        out = fold == number
        if len(np.unique(target[~out])) < 2:
            continue
        head = fit_linear(
            rows[~out, :AXES], target[~out], 2, penalty=PENALTY, sample_weight=weights[~out]
        )
        logits = head.logits(rows[out, :AXES])
        scores[out] = logits[:, 1] - logits[:, 0]
    strata = parts.labels * FOLDS + fold
    return area(scores, parts.second, strata), scores


def area(
    values: NDArray[np.floating], second: NDArray[np.bool_], strata: NDArray[np.int64]
) -> Estimate:
    """Return how often a value of the second part is above one of the first, within each stratum.

    Args:
        values: Shape (n,).
        second: Which are of the second part, shape (n,).
        strata: Only images of one stratum are compared, shape (n,).

    Returns:
        In [0, 1]; ties count half. Empty where no stratum holds images of both parts.
    """
    total = weight = compared_first = compared_second = 0.0
    for stratum in np.unique(strata).tolist():
        own = strata == stratum
        above = second[own]
        n, m = int(above.sum()), int((~above).sum())
        if not n or not m:
            continue
        ranks = rankdata(values[own])[above].sum() - n * (n + 1) / 2
        share = n * m / (n + m)
        total, weight = total + share * float(ranks) / (n * m), weight + share
        compared_first, compared_second = compared_first + m, compared_second + n
    if not weight:
        return Estimate(value=None, low=None, high=None, n=0)
    value = total / weight
    half = 1.96 * _deviation(value, compared_second, compared_first)
    return Estimate(
        value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=len(values)
    )


def _deviation(value: float, n: float, m: float) -> float:
    one, two = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + (n - 1) * (one - value**2) + (m - 1) * (two - value**2)
    return float(np.sqrt(max(variance, 0.0) / (n * m)))


def _balanced(parts: TwoParts) -> NDArray[np.float64]:
    """Return weights under which both parts have the same number of images of each label."""
    counts = np.zeros((2, int(parts.labels.max(initial=0)) + 1))
    np.add.at(counts, (parts.second.astype(np.intp), parts.labels), 1)
    target = counts.min(axis=0)
    own = counts[parts.second.astype(np.intp), parts.labels]
    # A label of one part alone tells nothing about the others; a trace keeps the fit defined.
    weights: NDArray[np.float64] = np.maximum(target[parts.labels], 1e-3) / own
    return weights


def quantities(evidence: Evidence) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the named numbers that parts may differ in, each of shape (n,)."""
    images, measures = evidence.images, evidence.measures
    width, height = (images[side].cast(pl.Float64).to_numpy() for side in ("width", "height"))
    yield "number of pixels", width * height
    yield "width per height", width / np.maximum(height, 1)
    if measures is not None:
        for name in ("brightness", "contrast", "sharpness", "colour", "entropy"):
            yield name, measures[name].to_numpy().astype(np.float64)


def kinds(evidence: Evidence) -> Iterator[tuple[str, list[str]]]:
    """Yield the named properties that parts may have in different shares, n values each."""
    yield "format", evidence.images["format"].fill_null("none").to_list()
    if evidence.measures is not None:
        for name in ("encoding", "camera", "software"):
            yield name, evidence.measures[name].fill_null("none").to_list()


def variation(
    values: NDArray[np.intp], second: NDArray[np.bool_], labels: NDArray[np.int64]
) -> tuple[float, int]:
    """Return by how much the parts differ within labels beyond chance, and the value that differs most.

    Chance is the mean of 20 shuffles of the parts within labels: where there are nearly as many values
    as images, any two parts differ.

    Args:
        values: Index of each image's value, shape (n,).
        second: Which images are of the second part, shape (n,).
        labels: Class indices, shape (n,); each label of both parts counts by its images.

    Returns:
        Total variation less that of chance, at most 1: the share of images whose value is another.
    """
    differences = _differences(values, second, labels)
    random = np.random.default_rng(0)
    by_chance = []
    for _ in range(SHUFFLES):
        order = np.lexsort((random.random(len(labels)), labels))
        shuffled = np.empty_like(second)
        shuffled[np.argsort(labels, kind="stable")] = second[order]
        by_chance.append(float(np.abs(_differences(values, shuffled, labels)).sum() / 2))
    moved = float(np.abs(differences).sum() / 2) - float(np.mean(by_chance))
    return moved, int(np.abs(differences).argmax())


def _differences(
    values: NDArray[np.intp], second: NDArray[np.bool_], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of each value in the second part less that in the first, within labels."""
    size = int(values.max(initial=0)) + 1
    difference, weight = np.zeros(size), 0.0
    for label in np.unique(labels).tolist():
        inside, outside = (
            np.bincount(values[(labels == label) & chosen], minlength=size)
            for chosen in (second, ~second)
        )
        n, m = int(inside.sum()), int(outside.sum())
        if n and m:
            share = n * m / (n + m)
            difference, weight = difference + share * (inside / n - outside / m), weight + share
    return difference / max(weight, 1e-12)
