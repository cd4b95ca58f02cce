"""How rare classes, labels and counts are made up for, from the targets of the training part.

All weights have mean 1 over the training images, so a learning rate keeps its meaning.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.records.recipe import Recipe
from affinage.records.settings.loss import LossSettings

Targets = NDArray[Any]

LARGEST_TABLE = 10_000
"""Counts above it share the weight of the largest one in the table."""


def rarity_of(occurrences: NDArray[np.int64], loss: LossSettings) -> NDArray[np.float64]:
    """Return how much something that occurs so often is worth, shape as given; 1 / n or less.

    Source:
        `effective`: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019,
        equation 2; any other: inverse frequency.
    """
    n = np.maximum(occurrences, 1).astype(np.float64)
    if loss.balance != "effective":
        worth: NDArray[np.float64] = 1 / n
        return worth
    return np.asarray(
        (1 - loss.beta) / -np.expm1(n * np.log(loss.beta)) if loss.beta else 1 + 0 * n
    )


def class_weights(
    labels: NDArray[np.int64], classes: int, loss: LossSettings
) -> NDArray[np.float64]:
    """Return a weight for each class, shape (classes,), of mean 1 over the images.

    A class without an image weighs as one with a single image.
    """
    occurrences = np.bincount(labels, minlength=classes)
    worth = rarity_of(occurrences, loss)
    weights: NDArray[np.float64] = worth * len(labels) / (occurrences @ worth)
    return weights


def answer_weights(labels: NDArray[np.floating], loss: LossSettings) -> NDArray[np.float64]:
    """Return the weight of a no and of a yes for each label, shape (2, K), of mean 1 over the images."""
    yes = (labels > 0).sum(axis=0)
    occurrences = np.stack([len(labels) - yes, yes])
    worth = rarity_of(occurrences, loss)
    weights: NDArray[np.float64] = worth * len(labels) / (occurrences * worth).sum(axis=0)
    return weights


def count_class_weights(counts: NDArray[np.floating], loss: LossSettings) -> NDArray[np.float64]:
    """Return a weight for each class, shape (K,), of mean 1: by how few images show it at all."""
    worth = rarity_of((counts > 0).sum(axis=0), loss)
    return np.asarray(worth / worth.mean())


def count_rarity(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a weight for each count of each class, shape (largest + 1, K), of mean 1 over the images.

    A count weighs by the inverse of how many images have it, its two neighbours counted with half
    its weight: that 17 occurs once and 16 and 18 often is chance.

    Source:
        Yang et al., Delving into Deep Imbalanced Regression, 2021 (label distribution smoothing);
        the kernel (1/4, 1/2, 1/4) is ours.
    """
    whole = whole_counts(counts)
    largest = int(whole.max(initial=0))
    occurrences = np.stack([np.bincount(row, minlength=largest + 1) for row in whole.T], axis=1)
    padded = np.pad(occurrences, ((1, 1), (0, 0)), mode="edge").astype(np.float64)
    density = padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4
    worth = 1 / np.maximum(density, 0.25)
    weights: NDArray[np.float64] = worth * len(counts) / (occurrences * worth).sum(axis=0)
    return weights


def whole_counts(counts: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return counts as places in a table of weights, shape as given."""
    whole: NDArray[np.int64] = np.clip(np.rint(counts), 0, LARGEST_TABLE).astype(np.int64)
    return whole


def label_weights(recipe: Recipe, targets: Targets, classes: int) -> NDArray[np.float64] | None:
    """Return a weight for each class of a loss over all classes, shape (classes,); None where all alike."""
    if recipe.loss.balance not in ("weight", "effective"):
        return None
    if targets.ndim == 1:
        return class_weights(targets.astype(np.int64), classes, recipe.loss)
    return count_class_weights(targets, recipe.loss)


def adjustments(recipe: Recipe, targets: Targets, classes: int) -> NDArray[np.float64] | None:
    """Return what is added to the scores in training, shape (classes,); None without adjustment.

    A class without an image counts as one with half an image.

    Source:
        Menon et al., Long-Tail Learning via Logit Adjustment, 2021, equation 10; for yes and no the
        log odds of yes take the place of the log share.
    """
    if recipe.loss.balance != "logit_adjustment":
        return None
    n = len(targets)
    if targets.ndim == 1:
        seen = np.maximum(np.bincount(targets.astype(np.int64), minlength=classes), 0.5)
        return np.asarray(recipe.loss.tau * np.log(seen / n))
    yes = np.clip((targets > 0).sum(axis=0), 0.5, n - 0.5)
    return np.asarray(recipe.loss.tau * np.log(yes / (n - yes)))


def element_weights(
    recipe: Recipe, targets: Targets, classes: int
) -> Callable[[Tensor], Tensor] | None:
    """Return a function of targets (n, K) to weights (n, K) or (K,); None where all alike."""
    if recipe.loss.balance == "rarity":
        by_count = torch.from_numpy(count_rarity(targets))
        return lambda counts: _looked_up(by_count.to(counts), counts.round())
    if recipe.loss.balance not in ("weight", "effective"):
        return None
    if recipe.task == "multilabel":
        by_answer = torch.from_numpy(answer_weights(targets, recipe.loss))
        return lambda labels: _looked_up(by_answer.to(labels), labels)
    weights = label_weights(recipe, targets, classes)
    assert weights is not None
    fixed = torch.from_numpy(weights)
    return partial(_same_for_all, fixed)


def _same_for_all(weights: Tensor, targets: Tensor) -> Tensor:
    return weights.to(targets)


def _looked_up(by_value: Tensor, values: Tensor) -> Tensor:
    """Return row `value` of each column; values beyond the last row take that."""
    return by_value.gather(0, values.long().clamp(0, len(by_value) - 1))


def sampling_weights(recipe: Recipe, targets: Targets) -> NDArray[np.float64] | None:
    """Return how often each training image is to be drawn, of mean 1; None where all alike.

    With `loss.balance=sampler`: an image of a class by the inverse of how many it has; an image with
    labels by the mean over them of the inverse of how many give its answer; an image with counts by
    the mean over the classes of how rare its counts are (`count_rarity`).

    Args:
        recipe: Settings.
        targets: Of the training part: int64 (n,) for `classify`, float (n, K) else.

    Returns:
        Shape (n,), or None.
    """
    if recipe.loss.balance != "sampler":
        return None
    if recipe.task == "classify":
        labels = np.asarray(targets, dtype=np.int64)
        return class_weights(labels, int(labels.max(initial=0)) + 1, recipe.loss)[labels]
    table = np.asarray(targets, dtype=np.float64)
    if recipe.task == "multilabel":
        rows, by_value = (table > 0).astype(np.int64), answer_weights(table, recipe.loss)
    else:
        rows, by_value = whole_counts(table), count_rarity(table)
    drawn = by_value[rows, np.arange(table.shape[1])].mean(axis=1)
    weights: NDArray[np.float64] = drawn / drawn.mean()
    return weights
