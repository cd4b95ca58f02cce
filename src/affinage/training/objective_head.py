"""A linear head on frozen features at the optimum of any objective: what fine-tuning then starts from."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from affinage.heads.folds import assign_folds
from affinage.heads.linear import LinearHead, PenaltyChoice
from affinage.heads.rotation import Rotated, rotate
from affinage.training.losses import Objective

STEPS, ROUGH_STEPS = 500, 60
TOLERANCE, ROUGH_TOLERANCE = 1e-6, 1e-3
"""Largest entry of the gradient at which a fit ends, and one inside cross-validation."""

STRONGER = (10.0, 3.0)
"""What the strongest penalty is multiplied by first: counts of few images want more than labels do."""

WORSE_IN_A_ROW = 2
"""Penalties, one weaker than the other, that may be worse than the best before the rest is left out."""


def fit_objective(
    features: NDArray[Any],
    targets: NDArray[Any],
    objective: Objective,
    *,
    penalty: float,
    start: LinearHead | None = None,
) -> LinearHead:
    """Return the head that minimises the mean loss + penalty / 2 * ||W||² (bias free).

    W acts on features centred and divided by one number, as in `heads.linear`; the result is folded
    back into a plain layer on raw features. The same input gives the same head.

    Args:
        features: Finite, shape (n, d), n at least 1.
        targets: As the objective takes them, n of them.
        objective: What is minimised.
        penalty: Positive; strong ones trust no image.
        start: A head to begin from.

    Source:
        Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
    """
    with _one_thread():
        rotated = rotate(features, np.full(len(features), 1 / len(features)))
        begin = None
        if start is not None:
            begin = rotated.from_plain(
                np.asarray(start.weight, np.float64), np.asarray(start.bias, np.float64)
            )
        problem = _Problem(rotated.rows, targets, objective, rotated.variance)
        weight, bias = problem.solve(penalty, begin, steps=STEPS, tolerance=TOLERANCE)
        return _plain(rotated, weight, bias, penalty)


def choose_objective_penalty(
    features: NDArray[Any],
    targets: NDArray[Any],
    objective: Objective,
    *,
    penalties: Sequence[float],
    folds: int,
    seed: int,
    ids: Sequence[str],
    groups: NDArray[Any] | None = None,
) -> PenaltyChoice:
    """Return the penalty with the least plain loss on held-out images of the training part.

    Args:
        features: Finite, shape (n, d), n at least 1.
        targets: As the objective takes them, n of them.
        objective: What is minimised.
        penalties: Positive, in any order.
        folds: How many parts to hold out in turn, at least 2.
        seed: Of the folds.
        ids: A stable name of each image; the folds depend on them and not on the rows' order.
        groups: A name of each image's group, shape (n,); a group is held out together.
    """
    strongest = max(penalties)
    path = sorted({*penalties, *(strongest * factor for factor in STRONGER)}, reverse=True)
    part = assign_folds(
        np.zeros(len(ids), dtype=np.int64), ids, folds=folds, seed=seed, groups=groups
    )
    count = int(part.max()) + 1
    if count < 2:
        return PenaltyChoice(
            penalty=path[len(path) // 2], losses=(), fold_losses=(), folds=0, held_out=0
        )
    with _one_thread():
        rotated = rotate(features, np.full(len(features), 1 / len(features)))
        held = [part == number for number in range(count)]
        folded = [
            _Fold(_Problem(rotated.rows[~out], targets[~out], objective, rotated.variance),
                  rotated.rows[out], torch.from_numpy(targets[out]))
            for out in held
        ]  # fmt: skip
        scored = list(_until_worse(folded, path))
    losses = tuple(
        (penalty, *(float(x) for x in np.concatenate(scores).mean(axis=0)))
        for penalty, scores in scored
    )
    return PenaltyChoice(
        penalty=min(losses, key=lambda row: row[1])[0],
        losses=tuple((row[0], row[1], row[2]) for row in losses),
        fold_losses=tuple(
            (penalty, tuple(float(fold[:, 0].mean()) for fold in scores))
            for penalty, scores in scored
        ),
        folds=count,
        held_out=len(ids),
    )


def _until_worse(
    folded: "list[_Fold]", path: Sequence[float]
) -> Iterator[tuple[float, list[NDArray[np.float64]]]]:
    """Yield (penalty, scores of each fold) from the strongest on, until it only gets worse."""
    best, worse = np.inf, 0
    for penalty in path:
        scores = [fold.scores(penalty) for fold in folded]
        yield penalty, scores
        loss = float(np.concatenate(scores)[:, 0].mean())
        worse = 0 if loss < best else worse + 1
        best = min(best, loss)
        if worse == WORSE_IN_A_ROW:
            return


def plain_losses(
    objective: Objective, outputs: NDArray[Any], targets: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the plain loss of each image, shape (n,), of raw outputs, shape (n, outputs)."""
    with torch.no_grad():
        raw, wanted = torch.from_numpy(np.asarray(outputs)), torch.from_numpy(targets)
        losses: NDArray[np.float64] = objective.plain(raw, wanted).double().numpy()
    return losses


def hits(objective: Objective, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the mean share of hits of raw outputs, shape (n, outputs)."""
    with torch.no_grad():
        raw, wanted = torch.from_numpy(np.asarray(outputs)), torch.from_numpy(targets)
        return float(objective.hit(raw, wanted).double().mean())


def predicted(objective: Objective, outputs: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities or expected counts, shape (n, classes), of raw outputs."""
    with torch.no_grad():
        values: NDArray[np.float64] = (
            objective.predict(torch.from_numpy(np.asarray(outputs))).double().numpy()
        )
    return values


@dataclass(slots=True)
class _Problem:
    """The penalised loss of some rows; solved in axes in which its curvature is about the same."""

    rows: NDArray[np.float64]
    targets: NDArray[Any]
    objective: Objective
    variance: NDArray[np.float64]

    def solve(
        self,
        penalty: float,
        begin: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
        *,
        steps: int,
        tolerance: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weight (outputs, rank) and bias (outputs,)."""
        outputs, rank = self.objective.outputs, self.rows.shape[1]
        stretch = np.sqrt(self.variance + penalty)
        first = np.zeros((outputs, rank + 1))
        if begin is not None:
            first[:, :rank], first[:, rank] = begin[0] * stretch, begin[1]
        found = minimize(
            _as_function(self, torch.from_numpy(stretch), penalty),
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "gtol": tolerance, "ftol": 1e-12, "maxcor": 20},
        )
        table = found.x.reshape(outputs, rank + 1)
        return table[:, :rank] / stretch, table[:, rank].copy()


@dataclass(slots=True)
class _Fold:
    """Images to learn from and images held out, with the fit at the penalty before."""

    problem: _Problem
    rows: NDArray[np.float64]
    targets: Tensor
    fitted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def scores(self, penalty: float) -> NDArray[np.float64]:
        """Return (loss, hit) of each held-out image, shape (held out, 2)."""
        objective = self.problem.objective
        self.fitted = self.problem.solve(
            penalty, self.fitted, steps=ROUGH_STEPS, tolerance=ROUGH_TOLERANCE
        )
        with torch.no_grad():
            outputs = torch.from_numpy(self.rows @ self.fitted[0].T + self.fitted[1])
            plain, hit = (
                objective.plain(outputs, self.targets),
                objective.hit(outputs, self.targets),
            )
        return np.stack([plain.numpy(), hit.numpy()], axis=1).astype(np.float64)


def _as_function(
    problem: _Problem, stretch: Tensor, penalty: float
) -> Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
    rows, targets = torch.from_numpy(problem.rows), torch.from_numpy(problem.targets)
    shape = (problem.objective.outputs, problem.rows.shape[1] + 1)

    def value(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table = torch.from_numpy(flat.reshape(shape)).requires_grad_()
        weight = table[:, :-1] / stretch
        outputs = rows @ weight.T + table[:, -1]
        loss = problem.objective.loss(outputs, targets).mean() + penalty / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert table.grad is not None
        return loss.item(), table.grad.numpy().ravel()

    return value


def _plain(
    rotated: Rotated, weight: NDArray[np.float64], bias: NDArray[np.float64], penalty: float
) -> LinearHead:
    plain_weight, plain_bias = rotated.to_plain(weight, bias)
    return LinearHead(weight=plain_weight, bias=plain_bias, penalty=penalty)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the small products on one thread: faster, and the same on any number of processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
