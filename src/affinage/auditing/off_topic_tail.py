"""Where a crowd ends: how many ordinary images to expect above a threshold, and the best threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

NEAR, FAR = 20, 60
"""Images next below a threshold that tell how fast the crowd thins out: two counts to compare."""

FEWEST, MOST = 4, 0.3
"""Images that make a finding at least, and the share of all above which nobody is the crowd."""

LEAST_SCORE = 2.0
"""Robust standard deviations from the crowd's middle below which no threshold is tried."""

LARGEST_SHARE, SHARE_OF_FEW, MANY = 0.08, 0.03, 12
"""Of ordinary images expected among the reported: above the first nothing is reported, above the
second nothing of fewer than `MANY`. Crowds that thin out by chance show gaps above a handful, never
above a dozen (no more than 1 of 384 clean sets; docs/log.md)."""

PRICE = 8.0
"""How many off-topic images one more is worth to report an ordinary one with them: chosen on 84
injected cases, and tried on 36 others (docs/log.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A threshold between a crowd and what lies apart from it.

    Attributes:
        threshold: Scores above it lie apart.
        above: How many they are.
        expected: How many of them the crowd would have put there itself.
    """

    threshold: float
    above: int
    expected: float


def best_cut(scores: NDArray[np.float64]) -> Cut | None:
    """Return the threshold that sets most images apart for few of the crowd, or None.

    Args:
        scores: Robust standard scores, 0 in the middle of the crowd, shape (n,).
    """
    ordered = np.sort(scores)[::-1]
    cuts = []
    for above in range(FEWEST, min(int(MOST * len(ordered)), len(ordered) - FAR)):
        if ordered[above - 1] < LEAST_SCORE:
            break
        threshold = float(ordered[above - 1] + ordered[above]) / 2
        expected = expected_above(threshold - ordered[above : above + FAR])
        if expected <= (LARGEST_SHARE if above >= MANY else SHARE_OF_FEW) * above:
            cuts.append(Cut(threshold=threshold, above=above, expected=expected))
    return max(cuts, key=lambda cut: cut.above - PRICE * cut.expected, default=None)


def expected_above(distances: NDArray[np.float64]) -> float:
    """Return how many images an exponential tail would have above a threshold.

    With density falling off as exp(-x / scale), as many as E (exp(x / scale) - 1) lie within x
    below the threshold; the distances of the `NEAR`-th and the `FAR`-th image give E and scale.
    A gap below the threshold makes E small, an even thinning out makes it large.

    Args:
        distances: From the threshold down to the `FAR` images next below it, ascending.
    """
    near, far = float(distances[NEAR - 1]), float(distances[FAR - 1])
    if near <= 0 or far * NEAR >= near * FAR:
        return float("inf")  # Thinning out is not seen at all.

    def excess(rate: float) -> float:
        # ln of (exp(far rate) - 1) / (exp(near rate) - 1), without overflow.
        upper = far * rate + np.log(-np.expm1(-far * rate))
        lower = near * rate + np.log(-np.expm1(-near * rate))
        return float(upper - lower - np.log(FAR / NEAR))

    steepest = 500 / far
    if excess(steepest) <= 0:
        return 0.0
    rate = brentq(excess, 1e-6 / far, steepest)
    return float(NEAR / np.expm1(near * rate))
