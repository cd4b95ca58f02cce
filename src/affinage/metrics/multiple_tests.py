"""Many tests at once: how many of those that stand out may be chance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return q-values: the false-discovery rate at which each test would just be reported.

    Reporting every test with q ≤ 0.05 keeps the expected share of false ones among those reported
    at 0.05 or below, where the tests are independent or rise together.

    Args:
        p_values: In [0, 1], shape (m,).

    Returns:
        Shape (m,), each in [p, 1], in the order of the p-values.

    Raises:
        DataError: If a p-value is no number in [0, 1] or the shape is not (m,).

    Source:
        Benjamini & Hochberg, Controlling the False Discovery Rate, 1995.
    """
    p = _check(p_values)
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, len(p) + 1)
    # From the largest down: a test is no worse than one with a larger p-value.
    stepped = np.minimum.accumulate((p[order] * len(p) / ranks)[::-1])[::-1]
    q = np.empty_like(p)
    q[order] = np.maximum(np.minimum(stepped, 1.0), p[order])
    return q


def benjamini_yekutieli(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return q-values that hold however the tests depend on each other.

    The price is a factor of 1 + 1/2 + ... + 1/m, about ln m + 0.58, over Benjamini & Hochberg.

    Args:
        p_values: In [0, 1], shape (m,).

    Returns:
        Shape (m,), each in [p, 1], in the order of the p-values.

    Raises:
        DataError: If a p-value is no number in [0, 1] or the shape is not (m,).

    Source:
        Benjamini & Yekutieli, The Control of the False Discovery Rate in Multiple Testing under
        Dependency, 2001, theorem 1.3.
    """
    p = _check(p_values)
    harmonic = float((1 / np.arange(1, len(p) + 1)).sum())
    capped: NDArray[np.float64] = np.minimum(benjamini_hochberg(p) * max(harmonic, 1.0), 1.0)
    return capped


def _check(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError(
            f"P-values are a vector of numbers from 0 to 1; these have shape {p.shape}.",
            remedy="Give one p-value for each test; leave out the tests that could not be made.",
        )
    return p
