"""The mean of an objective over a batch, or over the piece of one that is at hand."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from affinage.records.pairings import resolve
from affinage.records.recipe import Recipe
from affinage.training.losses import Objective

BatchMean = Callable[[Tensor, Tensor, int], Tensor]


def batch_mean(recipe: Recipe, objective: Objective) -> BatchMean:
    """Return a function of raw outputs, targets and the images of the whole step to a loss.

    It is the sum of the objective's losses over the number of images of the step, so that pieces and
    processes add up to the mean. For the plain cross-entropy of a whole batch it is torch's own mean:
    the same number, but its gradient is rounded as that of every run of version 1 was.
    """

    def summed(outputs: Tensor, targets: Tensor, whole: int) -> Tensor:
        return objective.loss(outputs, targets).sum() / whole

    if not _is_plain_cross_entropy(recipe):
        return summed
    smoothing = recipe.finetune.label_smoothing

    def mean(outputs: Tensor, targets: Tensor, whole: int) -> Tensor:
        if len(outputs) != whole or targets.dtype != torch.long:
            return summed(outputs, targets, whole)
        return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    return mean


def _is_plain_cross_entropy(recipe: Recipe) -> bool:
    chosen = resolve(recipe.chosen_loss())
    return (
        recipe.task == "classify"
        and chosen.loss == "cross_entropy"
        and chosen.output == "softmax"
        and recipe.loss.balance in ("none", "sampler")
    )
