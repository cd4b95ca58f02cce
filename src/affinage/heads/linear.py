"""A linear layer on features, at the optimum of its penalised loss."""

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from affinage.errors import DataError, RecipeError
from affinage.heads.folds import assign_folds
from affinage.heads.rotation import LARGEST_ROTATION, Rotated, rotate
from affinage.heads.softmax_regression import Parameters, Problem, solve
from affinage.metrics.classification import check_labels

GAP, ROUGH_GAP = 2e-7, 1e-4
"""Share of the loss that may be left to gain by a fit, and by a fit inside cross-validation."""

_one_thread = functools.partial(threadpool_limits, limits=1, user_api="blas")
"""The products are small: split between threads they take longer, up to 50 times on a busy
machine (measured), and their rounding would depend on the number of processors."""

SURELY_WORSE = 3.0
"""Standard errors by which a penalty must be worse than the best before weaker ones are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """A linear layer on raw features.

    Attributes:
        weight: Shape (classes, features).
        bias: Shape (classes,).
        penalty: The L2 penalty it was fitted with, on features of mean variance 1.
    """

    weight: NDArray[np.floating]
    bias: NDArray[np.floating]
    penalty: float

    def logits(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return the scores of raw features (n, d) before softmax, shape (n, classes)."""
        rows = np.asarray(features, dtype=np.float64)
        scores: NDArray[np.float64] = rows @ np.asarray(self.weight, np.float64).T + self.bias
        return scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PenaltyChoice:
    """The penalty that cross-validation prefers, and what it saw.

    Attributes:
        penalty: The chosen one.
        losses: (penalty, mean log loss in nats, mean accuracy) over all held-out images, from the
            strongest penalty to the weakest that was tried; empty where no image could be held out.
        fold_losses: (penalty, log loss of each fold that held images out), in the same order.
        folds: How many folds held images out; 0 where the classes are too small for any.
        held_out: How many images were held out once.
    """

    penalty: float
    losses: tuple[tuple[float, float, float], ...]
    fold_losses: tuple[tuple[float, tuple[float, ...]], ...]
    folds: int
    held_out: int


def fit_linear(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    *,
    penalty: float,
    start: LinearHead | None = None,
    sample_weight: ArrayLike | None = None,
    rotated: Rotated | None = None,
) -> LinearHead:
    """Return the head that minimises mean log loss + penalty / 2 * ||W||² (bias free).

    W acts on features of which the mean of these very images is taken away and which are divided
    by one number, the root mean square of their deviations (`rotate` says why not by each its
    own); the result is folded back into a plain layer on raw features. A constant feature gets
    weight 0. A class of 0..classes-1 without an image gets weight 0 and a bias so low that it is
    not predicted on images like these. The same input gives the same head.

    Args:
        features: Finite, shape (n, d), n at least 1.
        labels: Class indices, shape (n,).
        classes: How many classes the head has.
        penalty: Positive; small ones trust the images, large ones trust none.
        start: A head to begin from, for speed: the optimum is the same.
        sample_weight: Not negative, not all 0, shape (n,); 2 counts as the image given twice.
        rotated: What `rotate_evenly` made of these very features, to spare its time.

    Raises:
        DataError: If shapes disagree, there is no image, or a feature is not finite.
        RecipeError: If the penalty is not positive.
    """
    rows, truth = _check(features, labels, classes)
    _check_penalties([penalty])
    weights = _normalised(sample_weight, len(rows))
    with _one_thread():
        # For one fit, how features go together is had from a Cholesky factor sooner than from axes.
        tall = rotated is None and len(rows) >= rows.shape[1] <= LARGEST_ROTATION
        rotated = rotate(rows, weights, turn=not tall) if rotated is None else rotated
        begin = None
        if start is not None and np.shape(start.weight) == (classes, rows.shape[1]):
            begin = rotated.from_plain(np.asarray(start.weight, np.float64), np.asarray(start.bias))
        problem = Problem(
            rows=rotated.rows,
            labels=truth,
            weights=weights,
            variance=rotated.variance,
            classes=classes,
            penalty=penalty,
            gram=_gram(rotated.rows, weights) if tall else None,
        )
        near = solve(problem.rough(), begin, gap=10 * GAP)
        weight, bias = solve(problem, near, gap=GAP)
        plain_weight, plain_bias = rotated.to_plain(weight, bias)
    return LinearHead(weight=plain_weight, bias=plain_bias, penalty=penalty)


def choose_penalty(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    *,
    penalties: Sequence[float],
    folds: int,
    seed: int,
    ids: Sequence[str],
    groups: ArrayLike | None = None,
    rotated: Rotated | None = None,
    threads: int | None = None,
) -> PenaltyChoice:
    """Return the penalty with the least log loss on held-out images of the training part.

    Images are held out by `assign_folds`: stratified, groups together, the same for any order
    of the rows. An image whose class would then have none left to learn from is not scored.
    Where no image can be held out (one image for each class), the middle penalty is taken.
    The mean and the scale are those of the whole training part: they see no label, and sharing
    them lets all fits share one rotation.

    Penalties are tried from the strongest on. Once one is worse than the best by more than chance,
    weaker ones, which take the longest, are left out: in none of the cases that were compared
    (docs/log.md) would one of them have been chosen.

    The least mean loss decides. On three image sets neither the one-standard-error rule, nor the
    best accuracy, nor the loss after a temperature chose better (docs/log.md).

    Args:
        features: Finite, shape (n, d), n at least 1.
        labels: Class indices, shape (n,).
        classes: How many classes the head has.
        penalties: Positive, in any order.
        folds: How many parts to hold out in turn, at least 2; fewer where classes are small.
        seed: Of the folds.
        ids: A stable name of each image; the folds depend on them and not on the rows' order.
        groups: A name of each image's group, shape (n,); a group is held out together.
        rotated: What `rotate_evenly` made of these very features, to spare its time.
        threads: That fit folds side by side, each of them by itself: the result is the same for any
            number; as many as there are processors by default.

    Raises:
        DataError: If shapes disagree, there is no image, or a feature is not finite.
        RecipeError: If there is no penalty, or one is not positive.
    """
    rows, truth = _check(features, labels, classes)
    path = sorted({float(penalty) for penalty in penalties}, reverse=True)
    _check_penalties(path)
    part = assign_folds(truth, ids, folds=folds, seed=seed, groups=groups)
    with _one_thread():
        rotated = rotate(rows, _normalised(None, len(rows))) if rotated is None else rotated
        folded = [
            _Fold.of(rotated, truth, classes, held_out=part == number)
            for number in range(int(part.max()) + 1)
        ]
        folded = [fold for fold in folded if len(fold.truth)]
        if not folded:
            return PenaltyChoice(
                penalty=path[len(path) // 2], losses=(), fold_losses=(), folds=0, held_out=0
            )
        tried = list(_until_surely_worse(folded, path, threads or _processors()))
    together = [np.concatenate(scores) for _, scores in tried]
    best = int(np.argmin([rows[:, 0].mean() for rows in together]))
    return PenaltyChoice(
        penalty=tried[best][0],
        losses=tuple(
            (penalty, float(rows[:, 0].mean()), float(rows[:, 1].mean()))
            for (penalty, _), rows in zip(tried, together, strict=True)
        ),
        fold_losses=tuple(
            (penalty, tuple(float(fold[:, 0].mean()) for fold in scores))
            for penalty, scores in tried
        ),
        folds=len(folded),
        held_out=len(together[0]),
    )


@dataclass(slots=True, eq=False)
class _Fold:
    """Images to learn from, images that are held out, and the last fit, from which the next begins."""

    problem: Problem
    rows: NDArray[np.float64]
    truth: NDArray[np.int64]
    fitted: Parameters | None = None

    @classmethod
    def of(
        cls,
        rotated: Rotated,
        labels: NDArray[np.int64],
        classes: int,
        *,
        held_out: NDArray[np.bool_],
    ) -> "_Fold":
        """Return a fold; an image whose class is not learnt is not scored."""
        scored = np.flatnonzero(held_out & np.isin(labels, labels[~held_out]))
        learning = int((~held_out).sum())
        problem = Problem(
            rows=rotated.rows[~held_out],
            labels=labels[~held_out],
            weights=np.full(learning, 1 / max(1, learning)),
            variance=rotated.variance,
            classes=classes,
            penalty=1.0,
        )
        return cls(problem.rough(), rotated.rows[scored], labels[scored])

    def scores(self, penalty: float) -> NDArray[np.float64]:
        """Return (log loss, right) of each image that is held out, shape (n, 2)."""
        fitted = solve(replace(self.problem, penalty=penalty), self.fitted, gap=ROUGH_GAP)
        self.fitted = fitted
        logits = self.rows @ fitted[0].T + fitted[1]
        losses = -log_softmax(logits, axis=1)[np.arange(len(logits)), self.truth]
        return np.column_stack([losses, logits.argmax(axis=1) == self.truth])


def _until_surely_worse(
    folded: list[_Fold], path: Sequence[float], threads: int
) -> Iterator[tuple[float, list[NDArray[np.float64]]]]:
    """Yield (penalty, scores of each fold) from the strongest on, until it surely only gets worse."""
    losses: list[NDArray[np.float64]] = []
    with ThreadPoolExecutor(max_workers=min(threads, len(folded))) as pool:
        for penalty in path:
            scores = list(pool.map(lambda fold, at=penalty: fold.scores(at), folded))
            yield penalty, scores
            losses.append(np.concatenate(scores)[:, 0])
            if _surely_worse(losses):
                return


def _surely_worse(losses: list[NDArray[np.float64]]) -> bool:
    """Return whether the last is worse than the best by more than chance."""
    best = int(np.argmin([each.mean() for each in losses]))
    if best == len(losses) - 1:
        return False
    apart = losses[-1] - losses[best]
    error = float(apart.std(ddof=1)) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
    return float(apart.mean()) > SURELY_WORSE * error


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gram(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the weighted mean of the products of features, shape (d, d)."""
    weighted = (rows * np.sqrt(weights)[:, None]).astype(np.float32)
    products: NDArray[np.float32] = weighted.T @ weighted
    return products


def _check(
    features: ArrayLike, labels: ArrayLike, classes: int
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    rows = np.asarray(features)
    truth = check_labels(labels, classes)
    if rows.ndim != 2 or len(rows) != len(truth) or not len(rows):
        raise DataError(
            f"A head needs features (n, d) and labels (n,), n ≥ 1, not {rows.shape} and "
            f"{truth.shape}.",
            remedy="Give one row of features and one label for each image.",
        )
    if not np.isfinite(rows).all():
        wrong = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(
            f"The features of image {wrong} are not finite numbers.",
            remedy="Look at that image; if all are so, the backbone overflows: use fp32.",
        )
    return rows, truth


def _check_penalties(penalties: Sequence[float]) -> None:
    wrong = [penalty for penalty in penalties if not (penalty > 0 and np.isfinite(penalty))]
    if wrong or not penalties:
        raise RecipeError(
            f"Penalties are positive numbers, at least one; these are {list(penalties)}.",
            remedy="Set features.penalties, such as 1e-3,1e-2,1e-1.",
        )


def _normalised(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if sample_weight is None:
        return np.full(n, 1 / n)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise DataError(
            f"Sample weights have shape ({n},), are not negative and not all 0.",
            remedy="Give one weight for each image, or none at all.",
        )
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised
