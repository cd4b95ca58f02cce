"""Whether the range of a nuisance parameter cuts its optimum off."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from affinage.records.question import Span

FEWEST = 8
"""Settings below which nothing is said."""
SURE = 0.95

BESIDE = 0.5
"""Part of the range, from the bound, in which the very best must lie: else its other half is as good."""

Side = Literal["low", "high"]


def crowded_bound(places: ArrayLike, scores: ArrayLike) -> Side | None:
    """Return the bound beyond which the scores still rise; None where neither.

    A parabola is fitted to the ranks of the scores, in the better half of the range around the best
    settings. At a bound that the best settings lie near, its slope must still lead outward, by more
    than chance allows (one-sided, 95 %).

    Args:
        places: Where each setting lies in its range, in [0, 1], shape (n,).
        scores: More is better, shape (n,); not finite where the trial failed.

    Source:
        Least squares with Student's test of a linear combination: Draper & Smith, Applied Regression
        Analysis, 1998, chapter 5; what a crowded bound means: Godbole et al., Deep Learning Tuning
        Playbook, 2023, on bad search-space boundaries.
    """
    u, y = np.asarray(places, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    known = np.isfinite(y)
    u, y = u[known], y[known]
    if len(u) < FEWEST or np.ptp(y) == 0:
        return None
    best = float(np.median(u[np.argsort(-y, kind="stable")[: max(3, len(u) // 6)]]))
    side: Side = "high" if best > 0.5 else "low"
    inward = 1 - u if side == "high" else u  # 0 at the bound in question.
    near = inward <= 0.6
    if min(best, 1 - best) > 0.25 or near.sum() < FEWEST // 2 + 1:
        return None
    if inward[y.argmax()] > BESIDE:
        return None
    return side if _still_rising(inward[near], y[near]) else None


def _still_rising(inward: NDArray[np.float64], scores: NDArray[np.float64]) -> bool:
    """Return whether scores rise towards 0, where the bound is, and still do so there."""
    ranks = scores.argsort().argsort().astype(np.float64)
    columns = np.column_stack([np.ones_like(inward), inward, inward**2])
    freedom = len(inward) - 3
    if freedom < 2:
        return False
    inverse = np.linalg.pinv(columns.T @ columns)
    found = inverse @ columns.T @ ranks
    left = ranks - columns @ found
    error = math.sqrt(float(left @ left) / freedom * float(inverse[1, 1]))
    return float(found[1]) < -float(stdtrit(freedom, SURE)) * error


def widened(span: Span, side: Side) -> Span:
    """Return the range moved beyond a bound by half its width, in its own scale."""
    if span.log:
        step = math.sqrt(span.high / span.low)
        low = span.low / step if side == "low" else span.low
        high = span.high * step if side == "high" else span.high
    else:
        step = (span.high - span.low) / 2
        low = span.low - step if side == "low" else span.low
        high = span.high + step if side == "high" else span.high
    low, high = float(f"{low:.1g}"), float(f"{high:.1g}")
    return Span(key=span.key, low=low, high=high, log=span.log, whole=span.whole)
