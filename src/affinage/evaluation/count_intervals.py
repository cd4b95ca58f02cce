"""Intervals around counts that hold a promised share of new ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.counts import check_counts, round_counts

Margins = tuple[tuple[float, float], ...]


def fit_margins(expected: ArrayLike, counts: ArrayLike, *, coverage: float = 0.9) -> Margins:
    """Return how far below and above its expected count each class may lie, from validation.

    Split conformal prediction, each side on its own: of n validation images, the margin is the
    ⌈(n + 1)(1 + coverage) / 2⌉-th smallest error of that side. New images from where these came
    then lie in their interval with at least that chance, whatever the model is worth; images from
    elsewhere need not. Errors are measured in units of √(expected + 1), since larger counts err by
    more.

    Args:
        expected: Counts that the model expects on validation, shape (n, K).
        counts: True ones, shape (n, K).
        coverage: Share of new counts to hold, in (0, 1).

    Returns:
        (below, above) of each class, in units of √(expected + 1). Empty where there are too few images
        to promise that share: it takes 2 / (1 - coverage) - 1 of them, 19 for 0.9.

    Raises:
        DataError: If shapes disagree, or coverage is not in (0, 1).

    Source:
        Vovk et al., Algorithmic Learning in a Random World, 2005; Lei et al., Distribution-Free
        Predictive Inference for Regression, 2018, section 5.2 (errors in units of their scale).
    """
    if not 0 < coverage < 1:
        raise DataError(
            f"A coverage lies between 0 and 1, not at {coverage}.", remedy="Set count.interval=0.9."
        )
    said, truth = check_counts(expected, counts)
    n = len(said)
    rank = int(np.ceil((n + 1) * (1 + coverage) / 2 - 1e-9))
    if rank > n:
        return ()
    errors = (truth - said) / _scale(said)
    above, below = (np.sort(side, axis=0)[rank - 1] for side in (errors, -errors))
    return tuple(zip(below.tolist(), above.tolist(), strict=True))


def count_intervals(
    expected: ArrayLike, margins: Sequence[tuple[float, float]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the lowest and the highest count of each interval, both of shape (n, K).

    An interval holds its rounded expected count at least.

    Args:
        expected: Shape (n, K).
        margins: Of each class, as `fit_margins` gives them.

    Raises:
        DataError: If there are not as many margins as classes.
    """
    said = np.maximum(np.asarray(expected, dtype=np.float64), 0.0)
    reach = np.asarray(margins, dtype=np.float64).reshape(-1, 2)
    if said.ndim != 2 or said.shape[1] != len(reach):
        raise DataError(
            f"There are {len(reach)} margins for expected counts of shape {said.shape}.",
            remedy="Give the margins of this very model: one pair for each class.",
        )
    scale, whole = _scale(said), round_counts(said)
    low = np.ceil(said - reach[:, 0] * scale - 1e-9)
    high = np.floor(said + reach[:, 1] * scale + 1e-9)
    return (
        np.minimum(np.maximum(low, 0), whole).astype(np.int64),
        np.maximum(high, whole).astype(np.int64),
    )


def _scale(expected: NDArray[np.float64]) -> NDArray[np.float64]:
    scale: NDArray[np.float64] = np.sqrt(expected + 1)
    return scale
