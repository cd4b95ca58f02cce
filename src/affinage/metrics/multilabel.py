"""Scores of sets of labels, each a function of plain arrays of shape (n, K)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.counts import redrawn_means
from affinage.metrics.intervals import percentile_estimate, resample, wilson
from affinage.records.estimate import Estimate

DRAWS = 1000
LARGEST_BATCH = 4_000_000
"""Numbers that the bootstrap holds at once: 32 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Right and wrong answers of each label, as shares of the images: (..., K), or of all, (...)."""

    found: NDArray[np.float64]
    false: NDArray[np.float64]
    missed: NDArray[np.float64]

    def f1(self) -> NDArray[np.float64]:
        """Return 2 found / (2 found + false + missed); NaN where the label is neither had nor given.

        Source:
            van Rijsbergen, Information Retrieval, 1979.
        """
        below = 2 * self.found + self.false + self.missed
        ratio = np.full(np.shape(below), np.nan)
        np.divide(2 * self.found, below, out=ratio, where=below > 0)
        return ratio

    def macro_f1(self) -> NDArray[np.float64]:
        """Return the mean F1 over the labels that some image has; NaN where none has any."""
        occurs = self.found + self.missed > 0
        total = np.where(occurs, self.f1(), 0.0).sum(axis=-1)
        many = occurs.sum(axis=-1)
        return np.asarray(np.where(many > 0, total / np.maximum(many, 1), np.nan))

    def micro_f1(self) -> NDArray[np.float64]:
        """Return the F1 of all answers together; NaN where no label is had or given."""
        sums = (part.sum(axis=-1) for part in (self.found, self.false, self.missed))
        found, false, missed = sums
        return Tally(found=found, false=false, missed=missed).f1()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetScores:
    """Scores of sets of labels, each with its bootstrap draws, which all share.

    Attributes:
        f1: Of each label.
        macro_f1: Mean over the labels that occur.
        micro_f1: Of all answers together.
        exact_match: Share of images with exactly their labels; Wilson's interval.
        hamming_loss: Share of answers that are wrong.
        redrawn: (macro F1, Hamming loss) of each draw, shape (draws, 2).
    """

    f1: tuple[Estimate, ...]
    macro_f1: Estimate
    micro_f1: Estimate
    exact_match: Estimate
    hamming_loss: Estimate
    redrawn: NDArray[np.float64]


def check_sets(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return probabilities and labels, both of shape (n, K).

    Raises:
        DataError: If the shapes disagree, or a probability is not a number in [0, 1].
    """
    table, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if table.ndim != 2 or table.shape != truth.shape:
        raise DataError(
            f"Probabilities and labels have shape (n, labels), not {table.shape} and {truth.shape}.",
            remedy="Give one row for each image and one column for each label.",
        )
    if table.size and not (table.min() >= 0 and table.max() <= 1 + 1e-6):
        raise DataError(
            f"Probabilities lie in [0, 1], not in [{table.min():g}, {table.max():g}].",
            remedy="Give the sigmoid of the logits; if there is NaN among them, find its cause.",
        )
    return table, truth > 0.5


def set_scores(truth: NDArray[np.bool_], given: NDArray[np.bool_], *, seed: int = 0) -> SetScores:
    """Return the scores of given labels, with the percentiles of 1,000 bootstrap draws of images.

    Args:
        truth: Labels that images have, shape (n, K), n at least 1.
        given: Labels that they were given, shape (n, K).
        seed: Of the bootstrap; the same seed and n give the same draws.

    Raises:
        DataError: If there is no image.

    Source:
        Efron 1979; exact match and Hamming loss: Schapire & Singer, BoosTexter, 2000, and Tsoumakas &
        Katakis, Multi-Label Classification, 2007.
    """
    n, k = truth.shape
    wrong = (truth != given).mean(axis=1, keepdims=True)
    columns = np.hstack([truth & given, ~truth & given, truth & ~given, wrong])
    drawn = redrawn_means(columns, seed=seed)
    here, there = (
        Tally(found=rows[..., :k], false=rows[..., k : 2 * k], missed=rows[..., 2 * k : 3 * k])
        for rows in (columns.mean(axis=0), drawn)
    )
    f1, draws = here.f1(), there.f1()
    macro = there.macro_f1()
    return SetScores(
        f1=tuple(percentile_estimate(float(f1[c]), draws[:, c], n) for c in range(k)),
        macro_f1=percentile_estimate(float(here.macro_f1()), macro, n),
        micro_f1=percentile_estimate(float(here.micro_f1()), there.micro_f1(), n),
        exact_match=wilson(int((truth == given).all(axis=1).sum()), n),
        hamming_loss=_hamming(float(wrong.mean()), drawn[:, -1], n),
        redrawn=np.stack([macro, drawn[:, -1]], axis=1),
    )


def _hamming(value: float, redrawn: NDArray[np.float64], n: int) -> Estimate:
    """Return the loss with its interval; Wilson's of the images where no answer or every one is wrong."""
    return percentile_estimate(value, redrawn, n) if 0 < value < 1 else wilson(round(value) * n, n)


def average_precisions(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], *, seed: int = 0
) -> tuple[tuple[Estimate, ...], Estimate]:
    """Return the average precision of each label and their mean, with bootstrap intervals.

    It is the area under precision over recall as a sum of steps. Draws in which all images have a
    label, or none, are left out for it.

    Args:
        scores: Higher means more likely, shape (n, K).
        truth: Which images have which label, shape (n, K).
        seed: Of the bootstrap; labels share the draws.

    Returns:
        One estimate for each label, empty where all images have it or none; and the mean of the others.

    Source:
        Davis & Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006; Efron 1979.
    """
    n, k = truth.shape
    values, drawn = np.full(k, np.nan), np.full((DRAWS, k), np.nan)
    for column in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        values[column], drawn[:, column] = _area(scores[:, column], truth[:, column], seed)
    each = tuple(percentile_estimate(float(values[c]), drawn[:, c], n) for c in range(k))
    known = ~np.isnan(values)
    if not known.any():
        return each, Estimate(value=None, low=None, high=None, n=n)
    mean = percentile_estimate(float(values[known].mean()), drawn[:, known].mean(axis=1), n)
    return each, mean


def _area(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], seed: int
) -> tuple[float, NDArray[np.float64]]:
    """Return the area and that of each bootstrap draw, shape (draws,); sorted only once."""
    n = len(scores)
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), n - 1]
    hits = positive[order].astype(np.float64)
    rank = np.empty(n, dtype=np.intp)
    rank[order] = np.arange(n)
    step = max(1, LARGEST_BATCH // n)
    drawn = []
    for first in range(0, DRAWS, step):
        some = min(step, DRAWS - first)
        rows = rank[resample(n, seed=seed + first, draws=some)] + n * np.arange(some)[:, None]
        times = np.bincount(rows.ravel(), minlength=some * n).reshape(some, n)
        drawn.append(_steps(times.astype(np.float64), hits, ends))
    return float(_steps(np.ones((1, n)), hits, ends)[0]), np.concatenate(drawn)


def _steps(
    times: NDArray[np.float64], hits: NDArray[np.float64], ends: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the sum of (recall step) x precision of each draw, NaN without a positive or a negative."""
    found = np.cumsum(times * hits, axis=1)[:, ends]
    called = np.cumsum(times, axis=1)[:, ends]
    total = found[:, -1]
    steps = np.diff(found, axis=1, prepend=0.0)
    area = (steps * found / np.maximum(called, 1.0)).sum(axis=1) / np.maximum(total, 1.0)
    one_kind = (total == 0) | (total == called[:, -1])
    return np.asarray(np.where(one_kind, np.nan, area))
