"""The optimum of many penalised regressions on the same features, each with a target of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, xlogy

ROUND, ROUNDS = 20, 8
"""Steps before the lengths are measured anew, doubled each time; and how often that happens."""

LARGEST_LOG = 12.0
"""From e^12 on the mean goes on as a straight line: no step of a search overflows."""

LEAST_CURVATURE = 1e-3
"""Floor of the measured curvature, so that a start where all is sure misleads nobody."""

Array = NDArray[np.float64]
Parameters = tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How targets are spread around what a score says.

    Attributes:
        mean: Score to expected target.
        slope: Derivative of the mean by the score: the curvature of the loss.
        loss: Score and target to loss; 0 at best, its derivative mean(score) - target.
        score: Expected target to score.
        spread: Targets (n, K) to what each column's loss is divided by, (K,): its variance without
            features, so that a penalty means the same for common and rare, few and many.
        least: Least expected target.
        most: Largest expected target.
    """

    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    loss: Callable[[Array, Array], Array]
    score: Callable[[Array], Array]
    spread: Callable[[Array], Array]
    least: float = -np.inf
    most: float = np.inf


def bounded_exp(scores: Array) -> Array:
    """Return e^score, continued as its tangent above `LARGEST_LOG`."""
    inner = np.minimum(scores, LARGEST_LOG)
    return np.asarray(np.exp(inner) * (1 + scores - inner))


def _poisson_loss(scores: Array, counts: Array) -> Array:
    """Return half the deviance; above `LARGEST_LOG` the integral of the straight line."""
    over = np.maximum(scores - LARGEST_LOG, 0.0)
    paid = np.exp(scores - over) * (1 + over + over**2 / 2)
    return np.asarray(paid - counts * scores + xlogy(counts, counts) - counts)


POISSON = Family(
    mean=bounded_exp,
    slope=bounded_exp,
    loss=_poisson_loss,
    score=np.log,
    spread=lambda counts: counts.mean(axis=0),
    least=0.0,
)
NORMAL = Family(
    mean=lambda scores: scores,
    slope=np.ones_like,
    loss=lambda scores, targets: (scores - targets) ** 2 / 2,
    score=lambda mean: mean,
    spread=lambda targets: targets.var(axis=0),
)
YES_OR_NO = Family(
    mean=expit,
    slope=lambda scores: expit(scores) * expit(-scores),
    loss=lambda scores, targets: np.logaddexp(0, scores) - targets * scores,
    score=logit,
    spread=lambda labels: labels.var(axis=0),
    least=0.0,
    most=1.0,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Images, their targets, and how much weights may cost.

    Attributes:
        rows: Features, shape (n, d).
        targets: Shape (n, K).
        variance: Rough mean square of each feature, shape (d,): sets the steps' lengths.
        family: Of every column.
        scale: What each column's loss is divided by, positive, shape (K,).
        penalty: Of each column, positive, shape (K,).
    """

    rows: Array
    targets: Array
    variance: Array
    family: Family
    scale: Array
    penalty: Array

    def prior(self) -> Array:
        """Return the optimum without features, shape (K, d + 1).

        Where no image or every one has the largest or least target, which would ask for an infinite
        score, half an object in one more image, or half a no, is added.
        """
        table = np.zeros((self.targets.shape[1], self.rows.shape[1] + 1))
        half = 0.5 / (len(self.targets) + 1)
        mean = self.targets.mean(axis=0)
        mean = np.clip(mean, self.family.least + half, self.family.most - half)
        table[:, -1] = self.family.score(mean)
        return table

    def value_and_gradient(self, table: Array) -> tuple[Array, Array]:
        """Return the objective of each column, shape (K,), and the gradient, shape (K, d + 1)."""
        weight, n = table[:, :-1], len(self.rows)
        scores = self.rows @ weight.T + table[:, -1]
        losses = self.family.loss(scores, self.targets).sum(axis=0) / (n * self.scale)
        residual = (self.family.mean(scores) - self.targets) / (n * self.scale)
        gradient = np.empty_like(table)
        gradient[:, :-1] = (self.rows.T @ residual).T + self.penalty[:, None] * weight
        gradient[:, -1] = residual.sum(axis=0)
        return losses + self.penalty / 2 * (weight**2).sum(axis=1), gradient

    def step_lengths(self, table: Array) -> Array:
        """Return 1 / sqrt(curvature) of each parameter, shape (K, d + 1), as if unmixed."""
        scores = self.rows @ table[:, :-1].T + table[:, -1]
        curvature = self.family.slope(scores).mean(axis=0) / self.scale
        curvature = np.maximum(curvature, LEAST_CURVATURE)
        squares = np.append(self.variance, 1.0)  # The bias is as one more feature, always 1,
        penalties = np.outer(self.penalty, np.append(np.ones(len(self.variance)), 0.0))  # free.
        return np.asarray(1 / np.sqrt(np.outer(curvature, squares) + penalties))


def solve(problem: Problem, start: Array | None, *, gap: float) -> Array:
    """Return weight and bias of each column, shape (K, d + 1), at the optimum.

    Column k's objective is mean_i loss(score_ik, target_ik) / scale_k + penalty_k / 2 * ||w_k||², the
    bias free. All columns go through one search, which is one matrix product for all; it ends when
    what is left to gain is, for each, less than `gap` of what its targets cost without features.
    A column whose targets are all alike gets weight 0.

    Args:
        problem: The images.
        start: Where to begin; None for the optimum without features.
        gap: Such as 1e-6: half the squared gradient in scaled variables over that cost.

    Source:
        McCullagh & Nelder, Generalized Linear Models, 1989; Liu & Nocedal, On the Limited Memory BFGS
        Method for Large Scale Optimization, 1989.
    """
    table = problem.prior()
    varies = np.flatnonzero(np.ptp(problem.targets, axis=0) > 0)
    if len(varies):
        inner = replace(
            problem,
            targets=problem.targets[:, varies],
            scale=problem.scale[varies],
            penalty=problem.penalty[varies],
        )
        enough = gap * inner.value_and_gradient(table[varies])[0]
        table[varies] = _search(inner, (table if start is None else start)[varies], enough)
    return table


def _search(problem: Problem, table: Array, enough: Array) -> Array:
    for number in range(ROUNDS):
        table, reached = _round(problem, table, enough, steps=ROUND * 2**number)
        if reached:
            break
    return table


def _round(problem: Problem, start: Array, enough: Array, *, steps: int) -> tuple[Array, bool]:
    """Return the parameters after so many steps at most, and whether the optimum is reached."""
    scale = problem.step_lengths(start)
    reached = False

    def objective(flat: Array) -> tuple[float, Array]:
        nonlocal reached
        values, gradient = problem.value_and_gradient(flat.reshape(scale.shape) * scale)
        gradient *= scale
        reached = bool(((gradient**2).sum(axis=1) / 2 <= enough).all())
        return float(values.sum()), gradient.ravel()

    def stop(_: Array) -> None:
        if reached:
            raise StopIteration

    found = minimize(
        objective,
        (start / scale).ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=stop,
        options={"maxcor": 10, "ftol": 0.0, "gtol": 0.0, "maxiter": steps, "maxfun": 2 * steps},
    )
    return found.x.reshape(scale.shape) * scale, reached
