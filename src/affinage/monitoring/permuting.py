"""Many statistics of two samples at once, judged by the same shuffles of who belongs to which.

Every statistic is computed for the window as it is and for shuffles of baseline and window together.
If both come from one source, the window is one more shuffle, so the chance that its largest deviation
is among the largest `rate` of all is `rate`: exactly, for any sample size, however the statistics
depend on each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHUFFLES = 1999

Memberships = NDArray[np.float32]
"""Column 0 is 1 where an image is of the window, the others are shuffles of it; shape (N, 1 + shuffles)."""

Statistic = Callable[[Memberships], NDArray[np.floating]]
"""From memberships to one number for each column, larger where the two samples differ more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How far one statistic of a window lies from what shuffles give.

    Attributes:
        value: Of the window as it is.
        deviation: Less the mean of the shuffles, in their standard deviations.
        p: Chance that without any shift some statistic of the family deviates as far, in (0, 1].
    """

    value: float
    deviation: float
    p: float


def memberships(baseline: int, window: int, *, seed: int, shuffles: int = SHUFFLES) -> Memberships:
    """Return who is of the window, as it is and in shuffles, shape (baseline + window, 1 + shuffles).

    Args:
        baseline: Images of the baseline, which come first.
        window: Images of the window.
        seed: Of the shuffles.
        shuffles: How many; the smallest p that can be found is 1 / (1 + shuffles).
    """
    total = baseline + window
    random = np.random.default_rng(seed)
    drawn = random.random((shuffles, total), dtype=np.float32)
    chosen = np.argpartition(drawn, window - 1, axis=1)[:, :window]
    table = np.zeros((1 + shuffles, total), dtype=np.float32)
    table[0, baseline:] = 1
    np.put_along_axis(table[1:], chosen, 1, axis=1)
    return np.ascontiguousarray(table.T)


def judge(statistics: Mapping[str, Statistic], members: Memberships) -> dict[str, Judged]:
    """Return each statistic of a window with the chance that any of them deviates as far by luck.

    Args:
        statistics: By name.
        members: From `memberships`.

    Source:
        Westfall & Young, Resampling-Based Multiple Testing, 1993, single-step maximum; p-values of
        shuffles: Phipson & Smyth, Permutation P-values Should Never Be Zero, 2010.
    """
    if not statistics:
        return {}
    values = np.stack([np.asarray(one(members), np.float64) for one in statistics.values()])
    spread = values.std(axis=1, keepdims=True)
    deviations = (values - values.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    largest = np.sort(deviations.max(axis=0))  # The window's own column counts as a shuffle.
    tolerance = 1e-6  # Equal shuffles differ in the last digit of float32.
    beyond = len(largest) - np.searchsorted(largest, deviations[:, 0] - tolerance, side="left")
    return {
        name: Judged(
            value=float(values[row, 0]),
            deviation=float(deviations[row, 0]),
            p=float(beyond[row] / len(largest)),
        )
        for row, name in enumerate(statistics)
    }
