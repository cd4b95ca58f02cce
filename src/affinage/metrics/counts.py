"""Scores of counts, each a function of plain arrays.

Counts have shape (n, K): one column for each class. Expected counts are any numbers from 0 on; a
whole count is made of them by `round_counts`, before anything is compared for being right.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.intervals import percentile_estimate, wilson, wilson_bounds
from affinage.records.count_evaluation import CountScores
from affinage.records.estimate import Estimate

Rounding = Literal["nearest", "floor"]

DRAWS = 1000
LARGEST_BATCH = 4_000_000
"""Numbers that the bootstrap holds at once: 32 MB."""

_SLACK = 1e-6
"""A count short of a whole one by no more than the rounding of 32-bit numbers is that one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constants:
    """What a model that looks at no image would say: one count for each class, shape (K,).

    Attributes:
        mean: Mean of the training part.
        median: Median; between two counts their mean.
        mode: The commonest whole count; of equals the smallest.
    """

    mean: NDArray[np.float64]
    median: NDArray[np.float64]
    mode: NDArray[np.float64]


def round_counts(values: ArrayLike, rounding: Rounding = "nearest") -> NDArray[np.int64]:
    """Return whole counts, none below 0, shape as given.

    Args:
        values: Expected counts; negative ones count as 0.
        rounding: `nearest` (halves go up: 0.5 is 1, 2.5 is 3) or `floor` (2.9 is 2).

    Raises:
        DataError: If one is not a finite number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(
            "A count is not a finite number.", remedy="Find where the model gives NaN or infinity."
        )
    shift = 0.5 if rounding == "nearest" else _SLACK
    whole: NDArray[np.int64] = np.floor(np.maximum(numbers, 0.0) + shift).astype(np.int64)
    return whole


def check_counts(
    expected: ArrayLike, counts: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return expected and true counts, both of shape (n, K).

    Raises:
        DataError: If the shapes disagree, or one is negative or not finite.
    """
    said, truth = np.asarray(expected, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if said.ndim != 2 or said.shape != truth.shape:
        raise DataError(
            f"Counts have shape (n, classes), expected and true alike, not {said.shape} and "
            f"{truth.shape}.",
            remedy="Give the counts of the same images and classes, in the same order.",
        )
    if not (np.isfinite(said).all() and np.isfinite(truth).all()) or (truth < 0).any():
        raise DataError(
            "A count is negative or not a finite number.",
            remedy="Find the row where a count is missing, or the model gives NaN or infinity.",
        )
    return np.maximum(said, 0.0), truth


def constants(train_counts: ArrayLike) -> Constants:
    """Return the mean, the median and the mode of the training part's counts.

    Args:
        train_counts: Shape (n, K), n at least 1.
    """
    table = np.asarray(train_counts, dtype=np.float64)
    modes = [np.bincount(column).argmax() for column in round_counts(table).T]
    return Constants(
        mean=table.mean(axis=0),
        median=np.median(table, axis=0),
        mode=np.array(modes, dtype=np.float64),
    )


def count_scores(
    expected: ArrayLike, counts: ArrayLike, *, rounding: Rounding = "nearest", seed: int = 0
) -> tuple[CountScores, ...]:
    """Return the scores of each class.

    MAE, RMSE and bias are of the expected counts as they are, with the percentiles of 1,000
    bootstrap draws of images; shares are of whole counts, with Wilson's interval. Errors that are
    the same on every image have no spread to draw from: there the interval is widened by one
    object in the share of images that Wilson's interval leaves open.

    Args:
        expected: Shape (n, K).
        counts: True ones, shape (n, K).
        rounding: How whole counts are made, before they are compared.
        seed: Of the bootstrap.

    Raises:
        DataError: If shapes disagree, a count is no finite number, or there is no image.

    Source:
        Efron 1979; Wilson 1927.
    """
    said, truth = check_counts(expected, counts)
    errors = said - truth
    k = errors.shape[1]
    redrawn = redrawn_means(np.hstack([np.abs(errors), errors**2, errors]), seed=seed)
    off = np.abs(round_counts(said, rounding) - round_counts(truth))
    n = len(truth)
    return tuple(
        CountScores(
            mae=mean_error(np.abs(errors[:, c]), redrawn[:, c]),
            rmse=root(mean_error(errors[:, c] ** 2, redrawn[:, k + c])),
            bias=mean_error(errors[:, c], redrawn[:, 2 * k + c], least=-np.inf),
            within_one=wilson(int((off[:, c] <= 1).sum()), n),
            exact=wilson(int((off[:, c] == 0).sum()), n),
        )
        for c in range(k)
    )


def redrawn_means(values: ArrayLike, *, seed: int = 0, draws: int = DRAWS) -> NDArray[np.float64]:
    """Return the means of columns over bootstrap draws of rows, shape (draws, columns).

    All columns share the draws, so their differences are paired. The same seed and number of rows
    give the same draws.

    Args:
        values: Shape (n, columns), n at least 1.
        seed: Of the draws.
        draws: How many.

    Raises:
        DataError: If there is no row.

    Source:
        Efron, Bootstrap Methods: Another Look at the Jackknife, 1979.
    """
    table = np.asarray(values, dtype=np.float64)
    n = len(table)
    if not n:
        raise DataError("There is no image to measure on.", remedy="Give a part with images in it.")
    random = np.random.default_rng(seed)
    means = np.empty((draws, table.shape[1]))
    step = max(1, LARGEST_BATCH // n)
    for first in range(0, draws, step):
        some = min(step, draws - first)
        rows = random.integers(0, n, size=(some, n)) + n * np.arange(some)[:, None]
        times = np.bincount(rows.ravel(), minlength=some * n).reshape(some, n)
        means[first : first + some] = times @ table / n
    return means


def mean_error(
    errors: NDArray[np.float64], redrawn: NDArray[np.float64], *, least: float = 0.0
) -> Estimate:
    """Return a mean of errors with its bootstrap interval, widened where all errors are alike.

    Args:
        errors: Of each image, shape (n,).
        redrawn: Means of bootstrap draws, shape (draws,).
        least: What such a mean cannot be below.
    """
    n = len(errors)
    found = percentile_estimate(float(errors.mean()), redrawn, n)
    if np.ptp(errors) > 1e-9 or found.value is None:
        return found
    reach = wilson_bounds(0, n)[1]
    low, high = max(found.value - reach, least), found.value + reach
    return Estimate(value=found.value, low=low, high=high, n=n)


def root(squared: Estimate) -> Estimate:
    """Return the square root of an estimate, its interval with it."""
    if squared.value is None or squared.low is None or squared.high is None:
        return squared
    value, low, high = (float(np.sqrt(max(x, 0.0))) for x in
                        (squared.value, squared.low, squared.high))  # fmt: skip
    return Estimate(value=value, low=low, high=high, n=squared.n)


def count_confusion(
    truth: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts that occur, ascending, and how often which was said of which.

    Args:
        truth: True whole counts, shape (n,).
        predicted: Predicted whole counts, shape (n,).

    Returns:
        Values, shape (v,), and images, shape (v, v): row = true, column = predicted.
    """
    rows, columns = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    values, places = np.unique(np.concatenate([rows, columns]), return_inverse=True)
    v, n = len(values), len(rows)
    pairs = places[:n] * v + places[n:]
    return values, np.bincount(pairs, minlength=v * v).reshape(v, v).astype(np.int64)
