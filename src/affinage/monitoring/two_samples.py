"""Statistics that grow with the difference between a baseline and a window, for all shuffles at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from affinage.monitoring.permuting import Memberships, Statistic

AXES, PENALTY, FOLDS = 48, 0.1, 5
"""Of the classifier that tells window from baseline: few axes and a penalty, as it has few images."""

_WIDTHS = (0.5, 1.0, 2.0)  # Of the kernel, in medians of the distance.


def largest_gap(values: NDArray[np.floating]) -> Statistic:
    """Return the Kolmogorov-Smirnov statistic of one number per image.

    Args:
        values: Of baseline and window together, shape (N,).
    """
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))

    def statistic(members: Memberships) -> NDArray[np.floating]:
        window = float(members[:, 0].sum())
        inside = np.cumsum(members[order], axis=0)[ends]
        outside = (ends + 1)[:, None] - inside
        gaps = np.abs(inside / window - outside / (len(values) - window))
        return np.asarray(gaps.max(axis=0))

    return statistic


def shares_apart(kinds: NDArray[np.integer]) -> Statistic:
    """Return the total variation between the shares of each kind, such as the predicted class.

    Args:
        kinds: Number of each image's kind, baseline and window together, shape (N,).
    """
    one_hot = (kinds[:, None] == np.unique(kinds)).astype(np.float32)

    def statistic(members: Memberships) -> NDArray[np.floating]:
        window = float(members[:, 0].sum())
        inside = one_hot.T @ members
        outside = one_hot.sum(axis=0)[:, None] - inside
        apart = np.abs(inside / window - outside / (len(kinds) - window))
        return np.asarray(apart.sum(axis=0) / 2)

    return statistic


def mean_discrepancy(rows: NDArray[np.floating]) -> Statistic:
    """Return the squared maximum mean discrepancy under Gaussian kernels of three widths.

    Args:
        rows: Of baseline and window together, shape (N, d).

    Source:
        Gretton et al., A Kernel Two-Sample Test, 2012, equation 5 and section 8 (median distance).
    """
    distances = pdist(np.asarray(rows, dtype=np.float32), "sqeuclidean")
    median = float(np.median(distances)) or 1.0
    square = squareform(distances)
    kernel = np.mean([np.exp(-square / (2 * median * w**2)) for w in _WIDTHS], axis=0)
    return _quadratic(kernel)


def told_apart(rows: NDArray[np.floating], *, seed: int) -> Statistic:
    """Return how far apart a classifier's held-out scores of window and baseline lie.

    A ridge regression on who is of the window, fitted in cross-validation. Its held-out scores are
    linear in that, so one matrix gives them for every shuffle.

    Args:
        rows: Of baseline and window together, shape (N, d), about of unit scale.
        seed: Of the folds.

    Source:
        Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017; the regression as
        discriminant: Hastie et al., The Elements of Statistical Learning, 2009, exercise 4.2.
    """
    return _quadratic(held_out(rows, seed=seed))


def held_out(rows: NDArray[np.floating], *, seed: int) -> NDArray[np.float64]:
    """Return the matrix that makes held-out scores of memberships, shape (N, N)."""
    n = len(rows)
    fold = np.random.default_rng(seed).permutation(n) % min(FOLDS, n)
    matrix = np.zeros((n, n))
    for number in range(int(fold.max(initial=0)) + 1):
        out = fold == number
        inside = np.asarray(rows[~out], np.float64)
        centre = inside.mean(axis=0)
        inside = inside - centre
        gram = inside.T @ inside + PENALTY * (~out).sum() * np.eye(rows.shape[1])
        # Rows of `inside` sum to zero: the regression's constant takes no part in the scores.
        fitted = (rows[out] - centre) @ np.linalg.solve(gram, inside.T)
        matrix[np.ix_(out, ~out)] = fitted
    return matrix


def area(scores: NDArray[np.floating], window: NDArray[np.bool_]) -> float:
    """Return how often an image of the window scores above one of the baseline; ties count half.

    Args:
        scores: Shape (N,).
        window: Which images are of the window, shape (N,); some are, some are not.
    """
    m, n = int(window.sum()), int((~window).sum())
    return float((rankdata(scores)[window].sum() - m * (m + 1) / 2) / (m * n))


def principal(rows: NDArray[np.floating], axes: int = AXES) -> NDArray[np.float64]:
    """Return rows along their principal axes, scaled so that the first has variance 1.

    The axes are those of baseline and window together: axes of the baseline alone would fit its
    images better than any new ones, and new ones would seem to differ.

    Args:
        rows: Shape (N, d), N at least 2.
        axes: At most so many.
    """
    table = np.asarray(rows, dtype=np.float64)
    table = table - table.mean(axis=0)
    n, d = table.shape
    axes = min(axes, n - 1, d)
    if d <= n:
        _, vectors = eigh(table.T @ table, subset_by_index=(d - axes, d - 1))
        along = table @ vectors[:, ::-1]
    else:
        values, vectors = eigh(table @ table.T, subset_by_index=(n - axes, n - 1))
        along = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0))
    scale = float(along[:, 0].std())
    return np.asarray(along / scale if scale > 0 else along)


def _quadratic(matrix: NDArray[np.floating]) -> Statistic:
    """Return wᵀ M w, where w is 1/m on the window and -1/n on the baseline."""
    fast = np.asarray(matrix, dtype=np.float32)

    def statistic(members: Memberships) -> NDArray[np.floating]:
        window = members[:, :1].sum()
        weights = members / window - (1 - members) / (len(members) - window)
        return np.asarray(np.einsum("np,np->p", weights, fast @ weights))

    return statistic
