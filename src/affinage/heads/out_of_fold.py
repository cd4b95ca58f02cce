"""What a head says of images that it has not learnt from: cross-validated probabilities."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from affinage.heads.folds import assign_folds
from affinage.heads.linear import fit_linear


def out_of_fold(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    *,
    penalty: float,
    ids: Sequence[str],
    folds: int = 5,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the probabilities of every image by a head that was fitted without its fold.

    Folds are those of `assign_folds`: stratified, groups together, the same for any order of rows.

    Args:
        features: Finite, shape (n, d).
        labels: Class indices, shape (n,).
        classes: How many classes the head has.
        penalty: Of every fit.
        ids: A stable name of each image.
        folds: How many parts are held out in turn.
        seed: Of the folds.
        groups: A name of each image's group, shape (n,); a group is held out together.

    Returns:
        Shape (n, classes); rows sum to 1. Where everything lies in one fold, NaN: nothing can be said.
    """
    rows = np.asarray(features)
    truth = np.asarray(labels, dtype=np.int64)
    part = assign_folds(truth, ids, folds=folds, seed=seed, groups=groups)
    probabilities = np.full((len(truth), classes), np.nan)
    start = None
    for number in range(int(part.max()) + 1):
        held_out = part == number
        if held_out.all():
            continue
        start = fit_linear(rows[~held_out], truth[~held_out], classes, penalty=penalty, start=start)
        probabilities[held_out] = softmax(start.logits(rows[held_out]), axis=1)
    return probabilities
