"""A linear layer on features, at the optimum of its penalised loss."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from affinage.errors import DataError, RecipeError
from affinage.heads.folds import assign_folds
from affinage.heads.rotation import Rotated, rotate
from affinage.heads.softmax_regression import Problem, solve
from affinage.metrics.classification import check_labels

GAP, ROUGH_GAP = 1e-6, 1e-4
"""Share of the loss that may be left to gain by a fit, and by a fit inside cross-validation."""

_one_thread = functools.partial(threadpool_limits, limits=1, user_api="blas")
"""The products are small: split between threads they take longer, up to 50 times on a busy
machine (measured), and their rounding would depend on the number of processors."""


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
            strongest penalty to the weakest; empty where no image could be held out.
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

    Raises:
        DataError: If shapes disagree, there is no image, or a feature is not finite.
        RecipeError: If the penalty is not positive.
    """
    rows, truth = _check(features, labels, classes)
    _check_penalties([penalty])
    weights = _normalised(sample_weight, len(rows))
    with _one_thread():
        rotated = rotate(rows, weights)
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
        )
        weight, bias = solve(problem, begin, gap=GAP)
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
) -> PenaltyChoice:
    """Return the penalty with the least log loss on held-out images of the training part.

    Images are held out by `assign_folds`: stratified, groups together, the same for any order
    of the rows. An image whose class would then have none left to learn from is not scored.
    Where no image can be held out (one image for each class), the middle penalty is taken.
    The mean and the scale are those of the whole training part: they see no label, and sharing
    them lets all fits share one rotation.

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

    Raises:
        DataError: If shapes disagree, there is no image, or a feature is not finite.
        RecipeError: If there is no penalty, or one is not positive.
    """
    rows, truth = _check(features, labels, classes)
    path = sorted({float(penalty) for penalty in penalties}, reverse=True)
    _check_penalties(path)
    part = assign_folds(truth, ids, folds=folds, seed=seed, groups=groups)
    with _one_thread():
        rotated = rotate(rows, _normalised(None, len(rows)))
        scored = [
            _score_fold(rotated, truth, classes, path, held_out=part == number)
            for number in range(int(part.max()) + 1)
        ]
    scored = [scores for scores in scored if scores.shape[1]]
    if not scored:
        return PenaltyChoice(
            penalty=path[len(path) // 2], losses=(), fold_losses=(), folds=0, held_out=0
        )
    together = np.concatenate(scored, axis=1)
    losses, right = together[..., 0].mean(axis=1), together[..., 1].mean(axis=1)
    by_fold = [scores[..., 0].mean(axis=1) for scores in scored]
    return PenaltyChoice(
        penalty=path[int(np.argmin(losses))],
        losses=tuple(zip(path, losses.tolist(), right.tolist(), strict=True)),
        fold_losses=tuple(
            (penalty, tuple(float(fold[rank]) for fold in by_fold))
            for rank, penalty in enumerate(path)
        ),
        folds=len(scored),
        held_out=together.shape[1],
    )


def _score_fold(
    rotated: Rotated,
    labels: NDArray[np.int64],
    classes: int,
    path: Sequence[float],
    *,
    held_out: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return (log loss, right) of each scored image at each penalty, shape (path, scored, 2)."""
    learnt = np.isin(labels, labels[~held_out])
    scored = np.flatnonzero(held_out & learnt)
    result = np.zeros((len(path), len(scored), 2))
    if not len(scored):
        return result
    learning = int((~held_out).sum())
    problem = Problem(
        rows=rotated.rows[~held_out],
        labels=labels[~held_out],
        weights=np.full(learning, 1 / learning),
        variance=rotated.variance,
        classes=classes,
        penalty=path[0],
    )
    fitted = None
    for rank, penalty in enumerate(path):
        fitted = solve(replace(problem, penalty=penalty), fitted, gap=ROUGH_GAP)
        logits = rotated.rows[scored] @ fitted[0].T + fitted[1]
        result[rank, :, 0] = -log_softmax(logits, axis=1)[np.arange(len(scored)), labels[scored]]
        result[rank, :, 1] = logits.argmax(axis=1) == labels[scored]
    return result


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
