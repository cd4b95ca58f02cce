"""Counts from features: a Poisson or a ridge regression of each class, at its optimum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.heads.separate import NORMAL, POISSON, Family, bounded_exp
from affinage.heads.separate_fit import (
    SeparateChoice,
    SeparateHead,
    choose_separate,
    fit_separate,
)

CountFamily = Literal["poisson", "ridge"]
_FAMILIES: dict[CountFamily, Family] = {"poisson": POISSON, "ridge": NORMAL}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountHead:
    """A head that expects counts.

    Attributes:
        head: Its layers; scores are logarithms of counts for `poisson`, counts for `ridge`.
        family: Which of the two.
    """

    head: SeparateHead
    family: CountFamily

    def expected(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return the expected counts of raw features (n, d), shape (n, K), none below 0."""
        scores = self.head.scores(features)
        return bounded_exp(scores) if self.family == "poisson" else np.maximum(scores, 0.0)


def fit_counts(
    features: ArrayLike, counts: ArrayLike, *, penalty: ArrayLike, family: CountFamily = "poisson"
) -> CountHead:
    """Return the head at the optimum of its penalised loss.

    For `poisson` the loss is half the deviance over the mean count, with a logarithmic link; for
    `ridge` half the squared error over the variance. So a penalty means the same for a class of many
    objects and of few. A class without an object expects half of one in as many images and one more.

    Args:
        features: Finite, shape (n, d), n at least 1.
        counts: Not negative, shape (n, K).
        penalty: Positive; one for all classes, or one for each, shape (K,).
        family: `poisson` or `ridge`.

    Raises:
        DataError: If shapes disagree, there is no image, or a count is negative or not finite.
        RecipeError: If a penalty is not positive.

    Source:
        McCullagh & Nelder, Generalized Linear Models, 1989; Hoerl & Kennard, Ridge Regression, 1970.
    """
    head = fit_separate(features, counts, _FAMILIES[family], penalty=penalty)
    return CountHead(head=head, family=family)


def choose_count_penalties(
    features: ArrayLike,
    counts: ArrayLike,
    *,
    penalties: Sequence[float],
    folds: int,
    seed: int,
    ids: Sequence[str],
    groups: ArrayLike | None = None,
    family: CountFamily = "poisson",
) -> SeparateChoice:
    """Return the penalty of each class with the least loss on held-out images of the training part.

    Folds are those of `assign_folds`, even in the doublings of an image's number of objects.

    Args:
        features: Finite, shape (n, d), n at least 1.
        counts: Not negative, shape (n, K).
        penalties: Positive, in any order.
        folds: How many parts to hold out in turn, at least 2.
        seed: Of the folds.
        ids: A stable name of each image.
        groups: A name of each image's group, shape (n,); a group is held out together.
        family: `poisson` or `ridge`.

    Raises:
        DataError: If shapes disagree, there is no image, or a count is negative or not finite.
        RecipeError: If there is no penalty, or one is not positive.
    """
    total = np.nan_to_num(np.asarray(counts, dtype=np.float64)).sum(axis=-1)
    strata = np.floor(np.log2(np.maximum(total, 0.5)) + 1).astype(np.int64)
    return choose_separate(
        features, counts, _FAMILIES[family],
        strata=strata, penalties=penalties, folds=folds, seed=seed, ids=ids, groups=groups,
    )  # fmt: skip
