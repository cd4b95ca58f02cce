"""Intervals: how far a measured number may lie from the one it estimates."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from affinage.errors import DataError
from affinage.records.estimate import Estimate

Statistic = Callable[[NDArray[np.intp]], float]


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return a share with Wilson's score interval, which is honest at 0, at 1 and for few images.

    Args:
        successes: How many of the n succeeded, 0..n.
        n: How many were tried; with 0 the estimate is empty.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The share in [0, 1] and its interval, which lies within [0, 1] and holds the share.

    Raises:
        DataError: If successes is not in 0..n, or confidence not in (0, 1).

    Source:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    low, high = wilson_bounds(successes, n, confidence)
    if n == 0:
        return Estimate(value=None, low=None, high=None, n=0)
    return Estimate(value=successes / n, low=low, high=high, n=n)


def wilson_bounds(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the ends of Wilson's interval; (0, 1) for n = 0, where nothing is known.

    Raises:
        DataError: If successes is not in 0..n, or confidence not in (0, 1).

    Source:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    if not 0 <= successes <= n:
        raise DataError(
            f"A share needs 0 ≤ successes ≤ n, not {successes} of {n}.",
            remedy="Count the successes among the same n images.",
        )
    z = _normal_quantile(confidence)
    if n == 0:
        return 0.0, 1.0
    share, weight = successes / n, z * z / n
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    # At 0 and at 1 one end is exact; rounding must not move it past the share.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def bootstrap(
    statistic: Statistic, n: int, *, seed: int = 0, draws: int = 1000, confidence: float = 0.95
) -> Estimate:
    """Return a statistic of n rows with its bootstrap percentile interval.

    Args:
        statistic: A function of row indices, shape (n,), that returns its value on those rows.
            A NaN means that the statistic is undefined on those rows; such draws are left out.
        n: How many rows there are; with 0 the estimate is empty.
        seed: Of the draws; the same seed gives the same interval.
        draws: How many times the rows are drawn again with replacement, at least 1.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The statistic on all rows, between the percentiles of its redrawn values; the interval is
        widened to hold it where a biased statistic would leave it outside.

    Raises:
        DataError: If n is negative, draws below 1, or confidence not in (0, 1).

    Source:
        Efron, Bootstrap Methods: Another Look at the Jackknife, 1979; percentile interval:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    _check_draws(n, draws)
    _normal_quantile(confidence)
    if n == 0:
        return Estimate(value=None, low=None, high=None, n=0)
    random = np.random.default_rng(seed)
    redrawn = [float(statistic(random.integers(0, n, n, dtype=np.intp))) for _ in range(draws)]
    return percentile_estimate(float(statistic(np.arange(n))), redrawn, n, confidence=confidence)


def resample(n: int, *, seed: int = 0, draws: int = 1000) -> NDArray[np.intp]:
    """Return row indices drawn with replacement, shape (draws, n): the bootstrap's samples.

    One matrix serves many statistics of the same rows.

    Raises:
        DataError: If n is negative or draws below 1.
    """
    _check_draws(n, draws)
    drawn: NDArray[np.intp] = np.random.default_rng(seed).integers(
        0, max(n, 1), size=(draws, n), dtype=np.intp
    )
    return drawn


def percentile_estimate(
    value: float, redrawn: ArrayLike, n: int, *, confidence: float = 0.95
) -> Estimate:
    """Return a value with the percentile interval of its redrawn values.

    Args:
        value: The statistic on all rows; NaN makes the estimate empty.
        redrawn: The statistic on each draw, shape (draws,); NaN where it is undefined.
        n: How many rows the value rests on.
        confidence: Coverage of the interval, in (0, 1).

    Source:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None, n=n)
    values = np.asarray(redrawn, dtype=np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        return Estimate(value=value, low=value, high=value, n=n)
    tail = (1 - confidence) / 2
    low, high = (float(edge) for edge in np.quantile(values, [tail, 1 - tail]))
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=n)


def paired_difference(
    a_correct: ArrayLike, b_correct: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Return how much more accurate `a` is than `b` on the same images, with its interval.

    Args:
        a_correct: Whether `a` was right on each image, booleans of shape (n,).
        b_correct: Whether `b` was right on each image, booleans of shape (n,).
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        accuracy(a) - accuracy(b), in [-1, 1]; positive where `a` is better. Empty for n = 0.

    Raises:
        DataError: If the shapes differ.

    Source:
        Newcombe, Improved Confidence Intervals for the Difference Between Binomial Proportions
        Based on Paired Data, 1998, method 10 (Wilson's limits, with phi corrected for continuity
        where it is positive).
    """
    a, b = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(
            f"A paired difference needs two vectors of one length, not {a.shape} and {b.shape}.",
            remedy="Give the answers of both models on the same images, in the same order.",
        )
    n = len(a)
    if n == 0:
        return Estimate(value=None, low=None, high=None, n=0)
    p_a, p_b = a.mean(), b.mean()
    low_a, high_a = wilson_bounds(int(a.sum()), n, confidence)
    low_b, high_b = wilson_bounds(int(b.sum()), n, confidence)
    phi = _phi_of_pairs(a, b)
    below, above = p_a - low_a, high_a - p_a
    b_below, b_above = p_b - low_b, high_b - p_b
    down = np.sqrt(max(0.0, below**2 - 2 * phi * below * b_above + b_above**2))
    up = np.sqrt(max(0.0, above**2 - 2 * phi * above * b_below + b_below**2))
    difference = float(p_a - p_b)
    return Estimate(
        value=difference,
        low=max(-1.0, float(difference - down)),
        high=min(1.0, float(difference + up)),
        n=n,
    )


def _phi_of_pairs(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return Newcombe's corrected correlation of two answers, 0 where a margin is empty."""
    n = len(a)
    both, neither = int((a & b).sum()), int((~a & ~b).sum())
    only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - only_a * only_b
    if cross > 0:
        cross = max(cross - n / 2, 0)  # type: ignore[assignment]
    return float(cross / np.sqrt(float(margins)))


def _check_draws(n: int, draws: int) -> None:
    if n < 0 or draws < 1:
        raise DataError(
            f"A bootstrap needs n ≥ 0 rows and at least 1 draw, not n = {n} and {draws} draws.",
            remedy="Give the number of rows, and about 1000 draws.",
        )


def _normal_quantile(confidence: float) -> float:
    """Return z such that a normal variable lies within ±z with this confidence."""
    if not 0 < confidence < 1:
        raise DataError(
            f"A confidence lies between 0 and 1, not at {confidence}.",
            remedy="Give 0.95 for a 95 % interval.",
        )
    return float(ndtri((1 + confidence) / 2))
