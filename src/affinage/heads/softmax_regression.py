"""The optimum of penalised softmax regression, by L-BFGS."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fmin_l_bfgs_b

CURVATURE = 0.1
"""Assumed p (1 - p) of a typical class; it sets the steps' lengths, not the optimum (measured)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Images of which every class in 0..classes-1 occurs.

    Attributes:
        rows: Features, shape (n, d).
        labels: Class indices, shape (n,).
        weights: Of each image, summing to 1, shape (n,).
        variance: Rough mean square of each feature, shape (d,): sets the steps' lengths.
        classes: How many classes.
    """

    rows: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    variance: NDArray[np.float64]
    classes: int

    def prior(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the best weight and bias without features: zeros, and log shares, centred."""
        shares = np.bincount(self.labels, weights=self.weights, minlength=self.classes)
        bias = np.log(np.maximum(shares, 1e-12))
        return np.zeros((self.classes, self.rows.shape[1])), bias - bias.mean()


def solve(
    problem: Problem,
    penalty: float,
    start: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (classes, d) and bias (classes,) at the optimum.

    The objective is sum_i w_i (-ln p_i) + penalty / 2 * ||weight||², with the bias free; it is
    strictly convex but for a constant added to all biases, which is kept at mean 0.

    Args:
        problem: The images.
        penalty: Positive.
        start: Where to begin: weight and bias.
        tolerance: Largest gradient entry, in the scaled variables, at which to stop.

    Source:
        Liu & Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization, 1989.
    """
    n, d = problem.rows.shape
    classes = problem.classes
    # In these variables every direction has a curvature near 1; the bias is as one more feature.
    scale = 1 / np.sqrt(np.r_[CURVATURE * problem.variance + penalty, CURVATURE])
    rows, weights = problem.rows, problem.weights
    truth = np.zeros((n, classes))
    truth[np.arange(n), problem.labels] = 1.0

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.reshape(classes, d + 1) * scale
        weight = parameters[:, :d]
        logits = rows @ weight.T + parameters[:, d]
        logits -= logits.max(axis=1, keepdims=True)
        right = (logits * truth).sum(axis=1)
        residual = np.exp(logits, out=logits)
        total = residual.sum(axis=1)
        loss = float(weights @ (np.log(total) - right))
        residual /= total[:, None]
        residual -= truth
        residual *= weights[:, None]
        gradient = np.empty((classes, d + 1))
        gradient[:, :d] = residual.T @ rows
        gradient[:, :d] += penalty * weight
        gradient[:, d] = residual.sum(axis=0)
        gradient *= scale
        return loss + penalty / 2 * float(np.vdot(weight, weight)), gradient.ravel()

    first = np.column_stack(start) / scale
    found, _, _ = fmin_l_bfgs_b(
        objective, first.ravel(), m=10, factr=10.0, pgtol=tolerance, maxiter=2000, maxfun=4000
    )
    parameters = found.reshape(classes, d + 1) * scale
    return parameters[:, :d], parameters[:, d] - parameters[:, d].mean()
