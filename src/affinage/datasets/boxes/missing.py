"""A guess: images that lack the boxes of a class that nearly every other image has."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, pdtr

from affinage.metrics.intervals import wilson
from affinage.records.estimate import Estimate

_PRESENT = 0.9
_TOGETHER = 0.8
_FEWEST = 30
_BY_CHANCE = 0.2
_RIGHT, _LOOKED_AT = 15, 15  # Guesses on the BCCD blood cells, each judged by eye.


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Images that probably lack the boxes of a class.

    Attributes:
        column: Of the class.
        rows: Of the images.
        present: Share of the images with boxes that have one of this class.
        typical: Median count of those that do.
        expected: How many images would have none by chance.
        hit_rate: How many of the guesses are right, by what chance leaves; its interval is no narrower
            than the one of the 15 guesses that were checked by eye.
    """

    column: int
    rows: tuple[int, ...]
    present: float
    typical: float
    expected: float
    hit_rate: Estimate


def lacking(annotated: NDArray[np.int64]) -> list[Lack]:
    """Return the classes whose boxes were probably forgotten in some images.

    A class is suspected where at least nine in ten images with boxes have it, where chance explains
    at most a fifth of the images without, and for an image only if each class that it does show
    elsewhere goes along with the suspected one. Chance is a negative binomial distribution, fitted to
    the counts above zero: a class that mostly stands alone or varies widely may well be absent.

    Args:
        annotated: Sound boxes, shape (images, classes), the uncounted included.

    Source:
        Zero-truncated count models: Cameron and Trivedi, Regression Analysis of Count Data, 1998,
        section 4.5.
    """
    shown = annotated > 0
    some = shown.any(axis=1)
    found = []
    for column in range(annotated.shape[1]):
        without = some & ~shown[:, column]
        positive = annotated[shown[:, column], column]
        if not without.any() or len(positive) < max(_FEWEST, _PRESENT * some.sum()):
            continue
        rows = [row for row in np.flatnonzero(without) if _usually_with(shown, row, column)]
        expected = len(positive) * _odds_of_none(positive)
        if not rows or expected > _BY_CHANCE * len(rows):
            continue
        found.append(
            Lack(
                column=column,
                rows=tuple(int(row) for row in rows),
                present=len(positive) / int(some.sum()),
                typical=float(np.median(positive)),
                expected=expected,
                hit_rate=_hit_rate(expected, len(rows)),
            )
        )
    return found


def _hit_rate(expected: float, guesses: int) -> Estimate:
    """Return how many guesses are right: what chance leaves, no surer than what people looked at."""
    looked_at = wilson(_RIGHT, _LOOKED_AT)
    most = next(k for k in itertools.count() if pdtr(k, expected) >= 0.975)
    value, low = 1 - expected / guesses, max(0.0, 1 - most / guesses)
    return Estimate(value=value, low=min(low, looked_at.low or 0.0), high=1.0, n=_LOOKED_AT)


def _usually_with(shown: NDArray[np.bool_], row: np.intp, column: int) -> bool:
    """Return whether each class in an image usually comes with the class of a column."""
    others = np.flatnonzero(shown[row])
    return all(shown[shown[:, other], column].mean() >= _TOGETHER for other in others)


def _odds_of_none(positive: NDArray[np.int64]) -> float:
    """Return P(0) / P(above 0) of the negative binomial that fits counts above zero best."""
    values, times = np.unique(positive, return_counts=True)
    if values[-1] == 1:
        return math.inf  # Always one: counts do not tell how often it is none.

    def loss(parameters: Sequence[float]) -> float:
        mean, size = np.exp(np.clip(parameters, -20, 20))
        return -float(times @ (_log_chance(values, mean, size) - _log_above_zero(mean, size)))

    mean = float(positive.mean())
    start = [math.log(mean), math.log(mean)]
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-6})
    mean, size = np.exp(np.clip(best.x, -20, 20))
    none = math.exp(_log_chance(np.array([0]), mean, size)[0])
    return none / max(1e-12, 1 - none)


def _log_chance(values: NDArray[np.int64], mean: float, size: float) -> NDArray[np.float64]:
    """Return the log probability of counts under a negative binomial of a mean and a size."""
    return np.asarray(
        gammaln(values + size)
        - gammaln(size)
        - gammaln(values + 1)
        - size * math.log1p(mean / size)
        + values * (math.log(mean) - math.log(mean + size))
    )


def _log_above_zero(mean: float, size: float) -> float:
    return math.log(max(1e-300, -math.expm1(-size * math.log1p(mean / size))))
