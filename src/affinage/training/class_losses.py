"""Losses of labels: one right class, or yes and no for each label."""

import torch
from torch import Tensor
from torch.nn import functional

from affinage.records.pairings import OutputName
from affinage.training.outputs import SMALLEST, log_of

_LEAST_DOUBT = 1e-6
"""Least 1 - p in a focal factor: below it, its power has no finite slope where gamma < 1."""


def scores_of(output: OutputName, raw: Tensor) -> Tensor:
    """Return the scores whose softmax is the output, its rows made to sum to 1.

    Under `softmax` these are the raw numbers; under another output (forced) its logarithm.
    """
    return raw if output == "softmax" else log_of(output, raw, torch.ones_like(raw[0]))


def soft_labels(targets: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return targets as shares of each class, shape (n, classes).

    Args:
        targets: Indices (n,), or shares (n, classes).
        classes: How many classes there are.
        smoothing: Share of each target given to all classes evenly.
    """
    whole = targets.dtype == torch.long
    shares = functional.one_hot(targets, classes).float() if whole else targets.float()
    return shares * (1 - smoothing) + smoothing / classes if smoothing else shares


def cross_entropy(
    scores: Tensor, targets: Tensor, *, smoothing: float, weights: Tensor | None
) -> Tensor:
    """Return -Σ target ln p of each image, shape (n,), each class counted by its weight.

    Source:
        Label smoothing: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7.
    """
    return functional.cross_entropy(
        scores, targets, weight=weights, reduction="none", label_smoothing=smoothing
    )


def focal(scores: Tensor, shares: Tensor, *, gamma: float, weights: Tensor | None) -> Tensor:
    """Return -Σ target (1 - p)^gamma ln p of each image, shape (n,).

    Source:
        Lin et al., Focal Loss for Dense Object Detection, 2017, equation 4.
    """
    log_p = scores.log_softmax(dim=1)
    doubt = (-torch.expm1(log_p)).clamp(min=_LEAST_DOUBT)
    terms = -shares * doubt**gamma * log_p
    return (terms if weights is None else terms * weights).sum(dim=1)


def brier(scores: Tensor, shares: Tensor, *, weights: Tensor | None) -> Tensor:
    """Return Σ (p - target)² of each image, shape (n,), times the weight of its class.

    Source:
        Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
    """
    losses = (scores.softmax(dim=1) - shares).square().sum(dim=1)
    return losses if weights is None else losses * (shares @ weights)


def binary_losses(output: OutputName, raw: Tensor, labels: Tensor) -> Tensor:
    """Return -ln p of each answer, yes or no, shape (n, K).

    Under `sigmoid` from the raw numbers; under another output (forced) of its values, kept
    between 0 and 1.
    """
    if output == "sigmoid":
        return functional.binary_cross_entropy_with_logits(raw, labels, reduction="none")
    p = log_of(output, raw, torch.ones_like(raw[0])).exp().clamp(SMALLEST, 1 - SMALLEST)
    return -(labels * p.log() + (1 - labels) * torch.log1p(-p))


def binary_focal(losses: Tensor, *, gamma: float) -> Tensor:
    """Return binary losses times (1 - p of the right answer)^gamma.

    Source:
        Lin et al., Focal Loss for Dense Object Detection, 2017, equation 4.
    """
    return (-torch.expm1(-losses)).clamp(min=_LEAST_DOUBT) ** gamma * losses
