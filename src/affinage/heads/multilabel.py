"""Sets of labels from features: a logistic regression of each label, at its optimum."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from affinage.heads.separate import YES_OR_NO
from affinage.heads.separate_fit import (
    SeparateChoice,
    SeparateHead,
    choose_separate,
    fit_separate,
)


def fit_labels(features: ArrayLike, labels: ArrayLike, *, penalty: ArrayLike) -> SeparateHead:
    """Return heads whose scores are the log odds of each label.

    The loss is the log loss over the variance p (1 - p) of the label, so a penalty means the same for
    a rare label and a common one. A label that no image has, or every one, gets the odds of half an
    image more.

    Args:
        features: Finite, shape (n, d), n at least 1.
        labels: 0 and 1, shape (n, K).
        penalty: Positive; one for all labels, or one for each, shape (K,).

    Raises:
        DataError: If shapes disagree, there is no image, or a label is not in 0..1.
        RecipeError: If a penalty is not positive.

    Source:
        Cox, The Regression Analysis of Binary Sequences, 1958; binary relevance: Tsoumakas & Katakis,
        Multi-Label Classification, 2007.
    """
    return fit_separate(features, labels, YES_OR_NO, penalty=penalty)


def label_probabilities(head: SeparateHead, features: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of each label of raw features (n, d), shape (n, K)."""
    return np.asarray(expit(head.scores(features)))


def choose_label_penalties(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    penalties: Sequence[float],
    folds: int,
    seed: int,
    ids: Sequence[str],
    groups: ArrayLike | None = None,
) -> SeparateChoice:
    """Return the penalty of each label with the least log loss on held-out images of the training part.

    Folds are those of `assign_folds`, even in the rarest label that an image has.

    Args:
        features: Finite, shape (n, d), n at least 1.
        labels: 0 and 1, shape (n, K).
        penalties: Positive, in any order.
        folds: How many parts to hold out in turn, at least 2.
        seed: Of the folds.
        ids: A stable name of each image.
        groups: A name of each image's group, shape (n,); a group is held out together.

    Raises:
        DataError: If shapes disagree, there is no image, or a label is not in 0..1.
        RecipeError: If there is no penalty, or one is not positive.
    """
    return choose_separate(
        features, labels, YES_OR_NO,
        strata=_rarest(np.atleast_2d(np.asarray(labels)) > 0.5),
        penalties=penalties, folds=folds, seed=seed, ids=ids, groups=groups,
    )  # fmt: skip


def _rarest(labels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the place of each image's rarest label, from 1 on; 0 without any."""
    times = np.where(labels, labels.sum(axis=0), len(labels) + 1)
    return np.where(labels.any(axis=1), times.argmin(axis=1) + 1, 0).astype(np.int64)
