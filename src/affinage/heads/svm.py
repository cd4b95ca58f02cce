"""Linear support vector machines on features, one for each class against the rest."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from affinage.errors import DataError
from affinage.heads.folds import assign_folds
from affinage.heads.linear import LinearHead
from affinage.metrics.classification import check_labels

COSTS = (0.1, 1.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChoice:
    """The C that cross-validation prefers, and what it saw.

    Attributes:
        cost: The chosen one.
        hits: (cost, share of held-out images that were right), from the least cost on; empty where no
            image could be held out.
    """

    cost: float
    hits: tuple[tuple[float, float], ...]


def choose_cost(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    *,
    costs: Sequence[float] = COSTS,
    folds: int = 5,
    seed: int = 0,
    ids: Sequence[str],
    groups: ArrayLike | None = None,
) -> CostChoice:
    """Return the C with most held-out images right; of equals the least, the middle where none is.

    Args:
        features: Shape (n, d).
        labels: Class indices, shape (n,).
        classes: How many there are.
        costs: To choose from, each above 0.
        folds: How many parts to hold out in turn, at least 2.
        seed: Of the folds and of the solver.
        ids: A stable name of each image, for the folds.
        groups: A name of each image's group, shape (n,); a group is held out together.

    Raises:
        DataError: If the shapes disagree or there is no image.
    """
    rows, truth = _checked(features, labels, classes)
    path = sorted(set(costs))
    part = assign_folds(truth, ids, folds=folds, seed=seed, groups=groups)
    right, asked = np.zeros(len(path), dtype=np.int64), 0
    for number in range(int(part.max()) + 1):
        held_out = part == number
        if held_out.all() or not held_out.any():
            continue
        asked += int(held_out.sum())
        for rank, cost in enumerate(path):
            head = fit_svm(rows[~held_out], truth[~held_out], classes, cost=cost, seed=seed)
            right[rank] += (head.logits(rows[held_out]).argmax(axis=1) == truth[held_out]).sum()
    if not right.any():
        return CostChoice(cost=path[len(path) // 2], hits=())
    return CostChoice(
        cost=path[int(right.argmax())],
        hits=tuple((cost, hits / asked) for cost, hits in zip(path, right.tolist(), strict=True)),
    )


def fit_svm(
    features: ArrayLike, labels: ArrayLike, classes: int, *, cost: float, seed: int = 0
) -> LinearHead:
    """Return a linear SVM for each class against the rest; for two classes one plane between them.

    A class without an image gets weight 0 and a bias below all scores of these images.

    Args:
        features: Shape (n, d).
        labels: Class indices, shape (n,).
        classes: How many there are.
        cost: C, above 0: how much an image on the wrong side counts beside the planes' margins.
        seed: Of the solver.

    Raises:
        DataError: If the shapes disagree or there is no image.

    Source:
        Cortes and Vapnik, Support-vector networks, 1995; Fan et al., LIBLINEAR, 2008.
    """
    rows, truth = _checked(features, labels, classes)
    weight, bias = np.zeros((classes, rows.shape[1])), np.zeros(classes)
    present = np.unique(truth)
    if len(present) > 1:
        machine = LinearSVC(C=cost, dual=True, random_state=seed, max_iter=2000, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # Near enough, for a baseline.
            machine.fit(rows, truth)
        two = len(present) == 2
        signs = np.array([[-1.0], [1.0]]) if two else np.ones((len(present), 1))
        weight[present] = signs * machine.coef_
        bias[present] = signs[:, 0] * machine.intercept_
    absent = np.setdiff1d(np.arange(classes), present)
    bias[absent] = (rows @ weight[present].T + bias[present]).min() - 1.0
    return LinearHead(weight=weight, bias=bias, penalty=1.0 / cost)


def _checked(
    features: ArrayLike, labels: ArrayLike, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows, truth = np.asarray(features, dtype=np.float64), check_labels(labels, classes)
    if rows.ndim != 2 or len(rows) != len(truth) or not len(rows):
        raise DataError(
            f"Features of shape {rows.shape} and {len(truth)} labels do not belong together.",
            remedy="Give one row of features for each label, and at least one.",
        )
    return rows, truth
