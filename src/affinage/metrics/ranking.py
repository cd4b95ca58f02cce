"""Scores of how well one number ranks images of two classes, whatever its threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from affinage.errors import DataError
from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RocCurve:
    """What every threshold of a two-class score gives, from strictest to most lenient.

    Attributes:
        false_positive_rate: Share of the negatives called positive, ascending, from 0 to 1.
        true_positive_rate: Share of the positives called positive, ascending, from 0 to 1.
        precision: Of those called positive, the share that is; 1 where none is called.
        thresholds: Scores from which positive is called, descending; the first is +inf.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    precision: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> RocCurve:
    """Return the trade-off of a score: one point for each of its distinct values, and (0, 0).

    Args:
        scores: Higher means more likely positive, finite, shape (n,).
        positive: Whether each image is positive, booleans of shape (n,).

    Raises:
        DataError: If the shapes disagree, or one of the two classes does not occur.

    Source:
        Fawcett, An Introduction to ROC Analysis, 2006, algorithm 1.
    """
    values, truth = _check_scores(scores, positive)
    order = np.argsort(-values, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(values[order])), len(values) - 1]
    found = np.cumsum(truth[order])[ends].astype(np.float64)
    called = (ends + 1).astype(np.float64)
    return RocCurve(
        false_positive_rate=np.r_[0.0, (called - found) / (~truth).sum()],
        true_positive_rate=np.r_[0.0, found / truth.sum()],
        precision=np.r_[1.0, found / called],
        thresholds=np.r_[np.inf, values[order][ends]],
    )


def roc_auc(scores: ArrayLike, positive: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the chance that a positive scores above a negative (ties half), with its interval.

    The interval is DeLong's on the logit scale, so that it stays within [0, 1]. Where the two
    classes are perfectly separated its variance is 0 and says nothing; there the far end is
    that of an exact binomial interval with the smaller class's count, the least that is known.

    Args:
        scores: Higher means more likely positive, finite, shape (n,).
        positive: Whether each image is positive, booleans of shape (n,).
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        DataError: If the shapes disagree, or one of the two classes does not occur.

    Source:
        DeLong et al., Comparing the Areas under Two or More Correlated Receiver Operating
        Characteristic Curves, 1988; by ranks: Sun & Xu, 2014; logit scale: Pepe, 2003, 5.2.
    """
    values, truth = _check_scores(scores, positive)
    m, k = int(truth.sum()), int((~truth).sum())
    ranks = rankdata(values)
    above = (ranks[truth] - rankdata(values[truth])) / k  # of each positive, over the negatives
    below = 1 - (ranks[~truth] - rankdata(values[~truth])) / m
    area = float(np.clip(above.mean(), 0.0, 1.0))
    variance = _variance(above) / m + _variance(below) / k
    if area in (0.0, 1.0) or variance <= 0:
        reach = 1 - ((1 - confidence) / 2) ** (1 / min(m, k))
        low, high = max(0.0, area - reach), min(1.0, area + reach)
        return Estimate(value=area, low=low, high=high, n=len(values))
    half = float(ndtri((1 + confidence) / 2)) * np.sqrt(variance) / (area * (1 - area))
    centre = np.log(area / (1 - area))
    low, high = (float(1 / (1 + np.exp(-edge))) for edge in (centre - half, centre + half))
    return Estimate(value=area, low=low, high=high, n=len(values))


def average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the precision-recall curve as a sum of steps, in (0, 1].

    Args:
        scores: Higher means more likely positive, finite, shape (n,).
        positive: Whether each image is positive, booleans of shape (n,).

    Raises:
        DataError: If the shapes disagree, or one of the two classes does not occur.

    Source:
        Sum over thresholds of (recall step) x precision; no interpolation, which flatters:
        Davis & Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006.
    """
    curve = roc_curve(scores, positive)
    return float(np.sum(np.diff(curve.true_positive_rate) * curve.precision[1:]))


def _check_scores(
    scores: ArrayLike, positive: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive).astype(bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise DataError(
            f"There are {truth.size} labels but {values.size} scores.",
            remedy="Give the label and the score of the same images, in the same order.",
        )
    if not np.isfinite(values).all():
        raise DataError(
            "A score is not a finite number.", remedy="Find where the model gives NaN or infinity."
        )
    if truth.all() or not truth.any():
        raise DataError(
            f"A trade-off needs both classes: {int(truth.sum())} of {len(truth)} are positive.",
            remedy="Measure on images of both classes.",
        )
    return values, truth


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
