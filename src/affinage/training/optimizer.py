"""Optimizers over layer groups, with a learning rate that grows toward the head."""

from typing import Any

import torch
from torch import nn

from affinage.errors import RecipeError
from affinage.models.freeze import LayerGroup
from affinage.models.optimizers import make_optimizer
from affinage.records.settings.optimizer import OptimizerSettings


def highest_rate(settings: OptimizerSettings) -> float:
    """Return the highest learning rate.

    Raises:
        RecipeError: If it is still to be found.
    """
    if settings.lr == "auto":
        raise RecipeError(
            "optimizer.lr=auto has not been settled: no range test was made.",
            remedy="Settle the recipe first (affinage.training.settle), or give a number such as 3e-4.",
        )
    return settings.lr


def build_optimizer(
    model: nn.Module,
    groups: tuple[LayerGroup, ...],
    settings: OptimizerSettings,
    *,
    layer_decay: float,
) -> torch.optim.Optimizer:
    """Return an optimizer over the trained groups.

    The head steps at `settings.lr`; each group below it at `layer_decay` times the one above (ULMFiT's
    discriminative rates, Howard and Ruder, 2018, section 3.2). Weight decay is off for biases and for
    the scales of norms, which are vectors, unless `decay_norms`. Each parameter group keeps its share
    in `scale`.

    Raises:
        RecipeError: If the learning rate is still to be found.
    """
    parameters = dict(model.named_parameters())
    rate = highest_rate(settings)
    head = groups[-1].depth
    rows: list[dict[str, Any]] = []
    for group in groups:
        if not group.trained:
            continue
        scale = layer_decay ** (head - group.depth)
        members = [parameters[name] for name in group.names]
        decaying = [p for p in members if p.ndim > 1 or settings.decay_norms]
        others = [p for p in members if not (p.ndim > 1 or settings.decay_norms)]
        rows.extend(
            {"params": chosen, "lr": rate * scale, "weight_decay": decay, "scale": scale}
            for decay, chosen in ((settings.weight_decay, decaying), (0.0, others))
            if chosen
        )
    return make_optimizer(settings, rows, lr=rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
