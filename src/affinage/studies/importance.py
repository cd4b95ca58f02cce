"""How much of the spread of scores goes with each parameter, and with pairs of them."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import percentile_estimate
from affinage.records.answer import Importance

FEWEST = 8
DRAWS = 200


def importances(
    groups: Mapping[str, Sequence[int] | NDArray[np.integer]],
    scores: NDArray[np.float64],
    *,
    seed: int = 0,
) -> tuple[Importance, ...]:
    """Return the share of the spread that each parameter explains, and each pair beyond its two.

    The share is epsilon squared, the part of the variance between the groups of one parameter after
    what chance would give is taken away. For a pair it is what their cells explain beyond the two alone:
    parameters that must be tuned together. Intervals are bootstrapped over trials.

    Args:
        groups: By parameter, the group of each trial, 0, 1, …
        scores: Of the trials, shape (n,).
        seed: Of the bootstrap.

    Source:
        Kelley, An Unbiased Correlation Ratio Measure, 1935.
    """
    columns = {name: np.asarray(group, dtype=np.int64) for name, group in groups.items()}
    if len(scores) < FEWEST or np.ptp(scores) == 0:
        return ()
    random = np.random.default_rng(seed)
    draws = [random.integers(0, len(scores), len(scores)) for _ in range(DRAWS)]
    wanted = [*((name,) for name in columns), *itertools.combinations(columns, 2)]
    found = []
    for names in wanted:
        value = _beyond(names, columns, scores)
        redrawn = [
            _beyond(names, {name: group[rows] for name, group in columns.items()}, scores[rows])
            for rows in draws
        ]
        share = percentile_estimate(value, redrawn, len(scores))
        found.append(Importance(parameters=names, share=share))
    return tuple(sorted(found, key=lambda one: -(one.share.value or 0.0)))


def _beyond(
    names: tuple[str, ...], columns: Mapping[str, NDArray[np.int64]], scores: NDArray[np.float64]
) -> float:
    if len(names) == 1:
        return max(0.0, explained(columns[names[0]], scores))
    first, second = (columns[name] for name in names)
    cells = first * (int(second.max()) + 1) + second
    alone = max(0.0, explained(first, scores)) + max(0.0, explained(second, scores))
    return max(0.0, explained(cells, scores) - alone)


def explained(group: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Return epsilon squared of one grouping; 0 where there is one group, or one trial in each."""
    _, place = np.unique(group, return_inverse=True)
    n, k = len(scores), int(place.max()) + 1
    total = float(((scores - scores.mean()) ** 2).sum())
    if k < 2 or n <= k or total == 0:
        return 0.0
    sizes = np.bincount(place)
    means = np.bincount(place, weights=scores) / sizes
    within = float(((scores - means[place]) ** 2).sum())
    return (total - within - (k - 1) * within / (n - k)) / total


def in_bins(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each place in [0, 1]: about the cube root of their number, 2 to 6."""
    bins = min(6, max(2, math.ceil(len(places) ** (1 / 3))))
    found: NDArray[np.int64] = np.minimum(bins - 1, (places * bins).astype(np.int64))
    return found
