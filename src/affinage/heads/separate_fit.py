"""Fitting and choosing among penalties where each class or label is a regression of its own."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from affinage.errors import DataError, RecipeError
from affinage.heads.folds import assign_folds
from affinage.heads.rotation import Rotated, rotate
from affinage.heads.separate import Family, Problem, solve

GAP, ROUGH_GAP = 1e-8, 1e-5
"""Share of the loss without features that may be left to gain by a fit, and inside cross-validation."""

_one_thread = functools.partial(threadpool_limits, limits=1, user_api="blas")
"""As in `heads.linear`: rounding must not depend on the number of processors."""

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeparateHead:
    """Linear layers on raw features, each fitted on its own.

    Attributes:
        weight: Shape (K, features).
        bias: Shape (K,).
        penalties: The L2 penalty of each, on features of mean variance 1, shape (K,).
    """

    weight: Table
    bias: Table
    penalties: Table

    def scores(self, features: ArrayLike) -> Table:
        """Return the scores of raw features (n, d), shape (n, K)."""
        return np.asarray(np.asarray(features, dtype=np.float64) @ self.weight.T + self.bias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeparateChoice:
    """The penalty that cross-validation prefers for each column, and what it saw.

    Attributes:
        penalties: The chosen ones, shape (K,).
        path: All that were tried, from the strongest to the weakest, shape (p,).
        losses: Mean loss of held-out images at each, divided by that without features, shape (p, K): 1
            learns nothing. Empty where no image could be held out.
        held_out: How many images were held out once.
    """

    penalties: Table
    path: Table
    losses: Table
    held_out: int


def fit_separate(
    features: ArrayLike, targets: ArrayLike, family: Family, *, penalty: ArrayLike
) -> SeparateHead:
    """Return heads that minimise mean loss / spread + penalty / 2 * ||w||² each (bias free).

    Each w acts on features of which the mean is taken away and which are divided by one number, as in
    `heads.linear`; the result is folded back into a plain layer on raw features.

    Args:
        features: Finite, shape (n, d), n at least 1.
        targets: Finite, shape (n, K).
        family: How targets are spread.
        penalty: Positive; one for all columns, or one for each, shape (K,).

    Raises:
        DataError: If shapes disagree, there is no image, or a number is not finite.
        RecipeError: If a penalty is not positive.
    """
    rows, wanted = _check(features, targets, family)
    penalties = np.broadcast_to(np.asarray(penalty, dtype=np.float64), wanted.shape[1:]).copy()
    _check_penalties(penalties)
    with _one_thread():
        rotated = rotate(rows, np.full(len(rows), 1 / len(rows)))
        table = solve(_problem(rotated, wanted, family, penalties), None, gap=GAP)
        weight, bias = rotated.to_plain(table[:, :-1], table[:, -1])
    return SeparateHead(weight=weight, bias=bias, penalties=penalties)


def choose_separate(
    features: ArrayLike,
    targets: ArrayLike,
    family: Family,
    *,
    strata: NDArray[np.int64],
    penalties: Sequence[float],
    folds: int,
    seed: int,
    ids: Sequence[str],
    groups: ArrayLike | None = None,
) -> SeparateChoice:
    """Return, for each column, the penalty with the least loss on held-out images of the training part.

    The mean and the scale of the features are those of the whole training part, as in `heads.linear`.

    Args:
        features: Finite, shape (n, d), n at least 1.
        targets: Finite, shape (n, K).
        family: How targets are spread.
        strata: A class of each image that folds are to share evenly, shape (n,).
        penalties: Positive, in any order.
        folds: How many parts to hold out in turn, at least 2.
        seed: Of the folds.
        ids: A stable name of each image; the folds depend on them and not on the rows' order.
        groups: A name of each image's group, shape (n,); a group is held out together.

    Raises:
        DataError: If shapes disagree, there is no image, or a number is not finite.
        RecipeError: If there is no penalty, or one is not positive.
    """
    rows, wanted = _check(features, targets, family)
    path = np.array(sorted({float(penalty) for penalty in penalties}, reverse=True))
    _check_penalties(path)
    part = assign_folds(strata, ids, folds=folds, seed=seed, groups=groups)
    if not part.any():
        middle = np.full(wanted.shape[1], path[len(path) // 2])
        return SeparateChoice(
            penalties=middle, path=path, losses=np.zeros((0, wanted.shape[1])), held_out=0
        )
    with _one_thread():
        rotated = rotate(rows, np.full(len(rows), 1 / len(rows)))
        scored = [
            _score_fold(rotated, wanted, family, path, held_out=part == number)
            for number in range(int(part.max()) + 1)
        ]
    total = np.sum(scored, axis=0)
    losses = total[:-1] / np.maximum(total[-1], np.finfo(np.float64).tiny)
    return SeparateChoice(
        penalties=path[losses.argmin(axis=0)], path=path, losses=losses, held_out=len(rows)
    )


def _score_fold(
    rotated: Rotated,
    targets: Table,
    family: Family,
    path: Table,
    *,
    held_out: NDArray[np.bool_],
) -> Table:
    """Return the summed loss of held-out images at each penalty, then without features, (p + 1, K)."""
    learning = replace(rotated, rows=rotated.rows[~held_out])
    k = targets.shape[1]
    problem = _problem(learning, targets[~held_out], family, np.full(k, path[0]))
    rows, truth = rotated.rows[held_out], targets[held_out]
    table = problem.prior()
    losses = np.empty((len(path) + 1, k))
    losses[-1] = family.loss(np.broadcast_to(table[:, -1], truth.shape), truth).sum(axis=0)
    for rank, penalty in enumerate(path):
        table = solve(replace(problem, penalty=np.full(k, penalty)), table, gap=ROUGH_GAP)
        losses[rank] = family.loss(rows @ table[:, :-1].T + table[:, -1], truth).sum(axis=0)
    return losses


def _problem(rotated: Rotated, targets: Table, family: Family, penalties: Table) -> Problem:
    return Problem(
        rows=rotated.rows,
        targets=targets,
        variance=rotated.variance,
        family=family,
        scale=np.maximum(family.spread(targets), np.finfo(np.float64).tiny),
        penalty=penalties,
    )


def _check(features: ArrayLike, targets: ArrayLike, family: Family) -> tuple[Table, Table]:
    rows = np.asarray(features, dtype=np.float64)
    wanted = np.asarray(targets, dtype=np.float64)
    if rows.ndim != 2 or wanted.ndim != 2 or len(rows) != len(wanted) or not len(rows):
        raise DataError(
            f"A head needs features (n, d) and targets (n, K), n ≥ 1, not {rows.shape} and "
            f"{wanted.shape}.",
            remedy="Give one row of features and one of targets for each image.",
        )
    if not (np.isfinite(rows).all() and np.isfinite(wanted).all()):
        raise DataError(
            "A feature or a target is not a finite number.",
            remedy="Look for the image that has it; if all have, the backbone overflows: use fp32.",
        )
    if wanted.min() < family.least or wanted.max() > family.most:
        raise DataError(
            f"Targets lie in [{family.least:g}, {family.most:g}], not in "
            f"[{wanted.min():g}, {wanted.max():g}].",
            remedy="Give counts from 0 on, or 0 and 1 for each label.",
        )
    return rows, wanted


def _check_penalties(penalties: Table) -> None:
    if not penalties.size or not ((penalties > 0) & np.isfinite(penalties)).all():
        raise RecipeError(
            f"Penalties are positive numbers, at least one; these are {penalties.tolist()}.",
            remedy="Set features.penalties, such as 1e-3,1e-2,1e-1.",
        )
