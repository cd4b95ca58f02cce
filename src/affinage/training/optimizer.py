"""Optimizers and learning-rate schedules, with a rate per layer group that grows toward the head."""

import math

import torch
from torch import nn

from affinage.models.freeze import LayerGroup
from affinage.records.recipe import OptimizerSettings, ScheduleSettings


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
    the scales of norms, which are vectors. Each parameter group keeps its share in `scale`.
    """
    parameters = dict(model.named_parameters())
    head = groups[-1].depth
    rows = []
    for group in groups:
        if not group.trained:
            continue
        scale = layer_decay ** (head - group.depth)
        members = [parameters[name] for name in group.names]
        for decay, chosen in (
            (settings.weight_decay, [p for p in members if p.ndim > 1]),
            (0.0, [p for p in members if p.ndim <= 1]),
        ):
            if chosen:
                rows.append(
                    {
                        "params": chosen,
                        "lr": settings.lr * scale,
                        "weight_decay": decay,
                        "scale": scale,
                    }
                )
    if settings.name == "sgd":
        return torch.optim.SGD(rows, lr=settings.lr, momentum=settings.momentum, nesterov=True)
    return torch.optim.AdamW(rows, lr=settings.lr)


def schedule_factor(settings: ScheduleSettings, step: int, total: int) -> float:
    """Return the share of the highest learning rate at a step, in (0, 1].

    `one_cycle` rises linearly over the warm-up and falls by a half cosine to 0.1 % (after Smith, 2018);
    `cosine` does the same with a warm-up of at most 5 %; `constant` only rises.

    Args:
        settings: Shape and warm-up.
        step: From 0 to total - 1.
        total: Planned number of steps.
    """
    warmup = settings.warmup if settings.name == "one_cycle" else min(settings.warmup, 0.05)
    position = (step + 0.5) / total
    if position < warmup:
        return max(position / warmup, 1e-3)
    if settings.name == "constant":
        return 1.0
    fall = (position - warmup) / (1 - warmup)
    return max(0.5 * (1 + math.cos(math.pi * fall)), 1e-3)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
