"""The optimum of penalised softmax regression, by preconditioned L-BFGS."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize

ROUND, ROUNDS = 10, 10
"""Steps before the lengths are measured anew, doubled each time; and how often that happens."""

LEAST_CURVATURE = 1e-3
"""Floor of a class's measured p (1 - p), so that a start where all is sure misleads nobody."""

_ROUNDING = 1e-6
"""Added to a matrix of products that rounding has made indefinite, as a share of its trace."""

Parameters = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Images, and how much their weights may cost.

    Attributes:
        rows: Features, shape (n, d); in float32 the products with them are too, and half as long.
        labels: Class indices, shape (n,).
        weights: Of each image, summing to 1, shape (n,).
        variance: Rough mean square of each feature, shape (d,): sets the steps' lengths.
        classes: How many classes.
        penalty: Positive.
        gram: Weighted mean of the products of features, shape (d, d), where steps are to follow how
            features go together: float32 will do; None where each goes by itself, as along principal axes.
    """

    rows: NDArray[np.floating]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    variance: NDArray[np.float64]
    classes: int
    penalty: float
    gram: NDArray[np.floating] | None = None

    def rough(self) -> "Problem":
        """Return the same in float32, for an optimum that need not be better than 1e-4."""
        return replace(self, rows=self.rows.astype(np.float32))

    def logits(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of all images, shape (n, classes)."""
        products = self.rows @ weight.astype(self.rows.dtype, copy=False).T
        return np.asarray(products, dtype=np.float64) + bias

    def prior(self) -> Parameters:
        """Return the best weight and bias without features: zeros, and log shares, centred."""
        shares = np.bincount(self.labels, weights=self.weights, minlength=self.classes)
        bias = np.log(np.maximum(shares, 1e-12))
        return np.zeros((self.classes, self.rows.shape[1])), bias - bias.mean()

    def value_and_gradient(
        self, parameters: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the objective and its gradient at (weight | bias), shape (classes, d + 1)."""
        weight = parameters[:, :-1]
        logits = self.logits(weight, parameters[:, -1])
        logits -= logits.max(axis=1, keepdims=True)
        each = np.arange(len(logits))
        right = logits[each, self.labels]
        residual = np.exp(logits, out=logits)
        total = residual.sum(axis=1)
        loss = float(self.weights @ (np.log(total) - right))
        residual *= (self.weights / total)[:, None]
        residual[each, self.labels] -= self.weights
        gradient = np.empty_like(parameters)
        gradient[:, :-1] = (self.rows.T @ residual.astype(self.rows.dtype, copy=False)).T
        gradient[:, :-1] += self.penalty * weight
        gradient[:, -1] = residual.sum(axis=0)
        return loss + self.penalty / 2 * float(np.vdot(weight, weight)), gradient

    def curvature(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of p (1 - p) of each class at (weight | bias), shape (classes,)."""
        logits = self.logits(parameters[:, :-1], parameters[:, -1])
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = odds / odds.sum(axis=1, keepdims=True)
        found: NDArray[np.float64] = self.weights @ (shares * (1 - shares))
        return np.maximum(found, LEAST_CURVATURE)

    def steps(self, parameters: NDArray[np.float64]) -> "_Lengths | _Triangle":
        """Return variables in which the curvature at some parameters is near 1 in every direction."""
        curvature = self.curvature(parameters)
        if self.gram is not None:
            return _Triangle.of(self.gram, curvature, self.penalty, self.rows.dtype)
        squares = np.append(self.variance, 1.0)  # The bias is as one more feature, always 1,
        penalties = np.append(np.full(len(self.variance), self.penalty), 0.0)  # and free.
        return _Lengths(1 / np.sqrt(np.outer(curvature, squares) + penalties))


@dataclass(frozen=True, slots=True, eq=False)
class _Lengths:
    """Variables of a length of their own, shape (classes, d + 1), as if unmixed."""

    lengths: NDArray[np.float64]

    def enter(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return parameters / self.lengths

    def leave(self, variables: NDArray[np.float64]) -> NDArray[np.float64]:
        return variables * self.lengths

    def gradient(self, of_parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return of_parameters * self.lengths


@dataclass(frozen=True, slots=True, eq=False)
class _Triangle:
    """Variables in which features do not go together, by a triangle L with L L' = curvature + penalty.

    One Cholesky factor for all classes, at the mean of their curvatures, costs a twelfth of the
    eigenvectors that the penalties of a whole path can share.
    """

    lower: NDArray[np.floating]
    of_bias: NDArray[np.float64]

    @classmethod
    def of(
        cls, gram: NDArray[np.floating], curvature: NDArray[np.float64], penalty: float, kind: Any
    ) -> "_Triangle":
        whole = gram * gram.dtype.type(curvature.mean())
        whole[np.diag_indices_from(whole)] += penalty
        try:
            lower = cholesky(whole, lower=True, check_finite=False)
        except LinAlgError:  # Of float32, whose rounding outweighs a small penalty.
            whole = whole.astype(np.float64)
            whole[np.diag_indices_from(whole)] += _ROUNDING * float(np.trace(whole))
            lower = cholesky(whole, lower=True, check_finite=False)
        return cls(np.asfortranarray(lower, dtype=kind), 1 / np.sqrt(curvature))

    def enter(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([parameters[:, :-1] @ self.lower, parameters[:, -1] / self.of_bias])

    def leave(self, variables: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(
            [self._solved(variables[:, :-1], trans=1), variables[:, -1] * self.of_bias]
        )

    def gradient(self, of_parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(
            [self._solved(of_parameters[:, :-1], trans=0), of_parameters[:, -1] * self.of_bias]
        )

    def _solved(self, rows: NDArray[np.float64], *, trans: int) -> NDArray[np.float64]:
        columns = rows.T.astype(self.lower.dtype)
        found = solve_triangular(self.lower, columns, trans=trans, lower=True, check_finite=False)
        return np.asarray(found.T, dtype=np.float64)


def solve(problem: Problem, start: Parameters | None, *, gap: float) -> Parameters:
    """Return weight (classes, d) and bias (classes,) at the optimum.

    The objective is sum_i w_i (-ln p_i) + penalty / 2 * ||weight||², with the bias free; it is
    strictly convex but for a constant added to all biases, which is kept at mean 0.
    The variables are scaled so that the curvature is near 1 in every direction; as the classes
    come apart it changes, so it is measured again between rounds of L-BFGS.

    A class without an image would have its bias at minus infinity. It gets weight 0 and instead
    a bias below the lowest logit of these images, by the odds of one image more than there are.

    Args:
        problem: The images.
        start: Where to begin: weight and bias; None for the shares of the classes.
        gap: Estimated share of the objective that may be left to gain, such as 1e-6: half the
            squared gradient in the scaled variables over the objective.

    Source:
        Liu & Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization, 1989.
    """
    present, labels = np.unique(problem.labels, return_inverse=True)
    weight, bias = np.zeros((problem.classes, problem.rows.shape[1])), np.zeros(problem.classes)
    if len(present) > 1:
        inner = replace(problem, labels=labels, classes=len(present))
        begin = inner.prior() if start is None else (start[0][present], start[1][present])
        weight[present], bias[present] = _solve_present(inner, begin, gap=gap)
    absent = np.setdiff1d(np.arange(problem.classes), present)
    if len(absent):
        lowest = float(problem.logits(weight[present], bias[present]).min())
        bias[absent] = lowest - np.log(len(labels) + 1)
    return weight, bias


def _solve_present(problem: Problem, start: Parameters, *, gap: float) -> Parameters:
    """Return the optimum of a problem in which every class occurs."""
    parameters = np.column_stack(start)
    for number in range(ROUNDS):
        parameters, reached = _round(problem, parameters, gap=gap, steps=ROUND * 2**number)
        if reached:
            break
    return parameters[:, :-1], parameters[:, -1] - parameters[:, -1].mean()


def _round(
    problem: Problem, start: NDArray[np.float64], *, gap: float, steps: int
) -> tuple[NDArray[np.float64], bool]:
    """Return the parameters after so many steps at most, and whether the optimum is reached."""
    steps_by = problem.steps(start)
    reached = False

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal reached
        value, slope = problem.value_and_gradient(steps_by.leave(flat.reshape(start.shape)))
        gradient = steps_by.gradient(slope)
        reached = float(np.vdot(gradient, gradient)) / 2 <= gap * value
        return value, gradient.ravel()

    def stop(_: NDArray[np.float64]) -> None:
        if reached:
            raise StopIteration

    found = minimize(
        objective,
        steps_by.enter(start).ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=stop,
        options={"maxcor": 10, "ftol": 0.0, "gtol": 0.0, "maxiter": steps, "maxfun": 2 * steps},
    )
    return steps_by.leave(found.x.reshape(start.shape)), reached
