"""Images that resemble nothing the model is known to be good at."""

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import wilson_bounds
from affinage.records.estimate import Estimate

NEIGHBOURS, ALWAYS = 3, 0.05
"""The neighbour whose distance counts, and the share of known images that are as far from all others."""


def loneliness(baseline: NDArray[np.floating], rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far each image is from the baseline, 1 where 5 % of the baseline are as far.

    The distance is one less the cosine to the third nearest image of the baseline.

    Args:
        baseline: Features, shape (n, d), n at least 5.
        rows: Features, shape (m, d).

    Returns:
        Shape (m,), at least 0.

    Source:
        Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, 2022.
    """
    known, asked = _unit(baseline), _unit(rows)
    own = known @ known.T
    np.fill_diagonal(own, -np.inf)  # No image is its own neighbour.
    usual = 1 - np.partition(own, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
    limit = max(float(np.quantile(usual, 1 - ALWAYS)), 1e-6)
    near = np.partition(asked @ known.T, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
    return np.asarray(np.maximum(1 - near, 0) / limit, dtype=np.float64)


def share_unlike(far: NDArray[np.floating]) -> Estimate:
    """Return the share of images that resemble nothing, beyond the 5 % that always do, with its interval.

    Args:
        far: From `loneliness`, shape (m,).
    """
    m = len(far)
    count = int((far > 1).sum())
    low, high = wilson_bounds(count, m)
    beyond = [max(0.0, (share - ALWAYS) / (1 - ALWAYS)) for share in (count / max(m, 1), low, high)]
    return Estimate(value=beyond[0], low=beyond[1], high=beyond[2], n=m)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    table = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(lengths > 0, lengths, 1), dtype=np.float32)
