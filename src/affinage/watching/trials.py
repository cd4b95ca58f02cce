"""Experiments on copies of a watched training: one thing is changed, all else stays."""

import copy
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affinage.watching.changes import Change
from affinage.watching.copies import copied, set_modes
from affinage.watching.live import Live
from affinage.watching.pools import Pool, classes_of_pool

_AT_ONCE = 64
_LOOKS = (0.0, 0.08, 0.16, 0.24)
"""Shares of the steps before the end at which a copy is scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a copy is trained.

    Attributes:
        change: What is different.
        seed: Of the order of the images, and of whatever begins anew.
        steps: Taken.
        deadline: On the monotonic clock, after which no step begins.
    """

    change: Change
    seed: int
    steps: int
    deadline: float


def hits(live: Live, pool: Pool, *, training: bool, change: Change) -> list[bool] | None:
    """Return which images a copy of the network gets right; None where targets are no classes.

    Args:
        live: The watched training.
        pool: Its images.
        training: Whether the copy is in training mode, as it was during steps.
        change: What is different in it.
    """
    if live.main is None:
        return None
    outputs = outputs_of(live, pool, training=training, change=change)
    return right(outputs, pool)


def outputs_of(live: Live, pool: Pool, *, training: bool, change: Change) -> Tensor:
    """Return what a copy of the network as it is now gives for every image."""
    network = copy.deepcopy(live.main)
    assert network is not None
    modules = dict(network.named_modules())
    for name in change.resting:
        start, module = live.norm_starts.get(name), modules.get(name)
        if start is not None and module is not None:
            module.get_buffer("running_mean").copy_(start[0])
            module.get_buffer("running_var").copy_(start[1])
    torch.manual_seed(0)
    found = []
    for x in torch.split(pool.images, pool.batch):
        set_modes(network, live, change, training=training)
        with torch.no_grad():
            found.append(network(change.scale(x) if change.scale else x))
    return torch.cat(found)


def right(outputs: Tensor, pool: Pool) -> list[bool] | None:
    """Return which outputs name the right class; None where targets are no classes."""
    classes = classes_of_pool(pool, outputs.shape[-1]) if outputs.ndim == 2 else None
    return None if classes is None else (outputs.argmax(1) == classes).tolist()


def trained_copy(live: Live, pool: Pool, plan: Plan) -> nn.Module:
    """Return a copy that was trained for some steps, in evaluation mode."""
    network, optimizers = copied(live, pool, plan.change, seed=plan.seed)
    for _ in _steps(network, optimizers, live, pool, plan):
        pass
    set_modes(network, live, plan.change, training=False)
    return network


def accuracy_after(
    live: Live, pool: Pool, change: Change, *, seed: int, steps: int, deadline: float,
    on: Pool | None = None, balanced: bool = False,
) -> float:  # fmt: skip
    """Train a copy for some steps and return how well it does in the last quarter of them.

    It is looked at four times and the mean is taken: a training whose score goes up and down from step to
    step needs fewer pairs to be told from another.

    Args:
        live: The watched training.
        pool: Images to train on.
        change: What is different.
        seed: Of the order of the images.
        steps: To take.
        deadline: After which no step begins.
        on: Images to score; None = those of the pool.
        balanced: Whether every class counts alike.
    """
    plan = Plan(change=change, seed=seed, steps=steps, deadline=deadline)
    network, optimizers = copied(live, pool, change, seed=seed)
    looks = {round(steps * (1 - share)) for share in _LOOKS}
    found = []
    for step in _steps(network, optimizers, live, pool, plan):
        if step in looks:
            set_modes(network, live, change, training=False)
            found.append(score(network, on if on is not None else pool, change, balanced=balanced))
    return sum(found) / len(found) if found else 0.0


def score(network: nn.Module, pool: Pool, change: Change, *, balanced: bool = False) -> float:
    """Return the share of images that a network gets right.

    For targets that are no classes: 1 / (1 + squared error / variance of the targets), which is 0.5 for
    always saying their mean and 1 where all are met.
    """
    with torch.no_grad():
        images = change.scale(pool.images) if change.scale else pool.images
        outputs = torch.cat([network(x) for x in torch.split(images, _AT_ONCE)])
    found = right(outputs, pool)
    if found is None:
        return _closeness(outputs, pool.targets)
    if not balanced:
        return sum(found) / len(found)
    classes = classes_of_pool(pool, outputs.shape[-1])
    assert classes is not None
    hit = torch.tensor(found).float()
    return float(torch.stack([hit[classes == c].mean() for c in torch.unique(classes)]).mean())


def _closeness(outputs: Tensor, targets: Tensor) -> float:
    wanted, given = targets.flatten().float(), outputs.flatten().float()
    if wanted.shape != given.shape:
        return 0.0
    loss = float((given - wanted).square().mean() / wanted.var().clamp_min(1e-9))
    return 1.0 / (1.0 + loss) if math.isfinite(loss) else 0.0


def _steps(
    network: nn.Module, optimizers: tuple[Any, ...], live: Live, pool: Pool, plan: Plan
) -> Iterator[int]:
    """Take steps; yield the number of each, when it is done."""
    change, generator = plan.change, torch.Generator().manual_seed(plan.seed)
    batch, n = change.batch or pool.batch, len(pool.images)
    order, at = torch.arange(n), n
    for step in range(plan.steps):
        if time.monotonic() > plan.deadline:
            return
        if at >= n:
            order, at = _order(pool, change, generator), 0
        rows = order[at : at + batch]
        at += batch
        if len(rows) >= min(2, n):
            set_modes(network, live, change, training=True)
            _step(network, optimizers, live, pool.rows(rows), change, step)
        yield step + 1


def _step(
    network: nn.Module,
    optimizers: tuple[Any, ...],
    live: Live,
    batch: Pool,
    change: Change,
    step: int,
) -> None:
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of the training's own making: it had them before.
        if change.zero:
            for optimizer in optimizers:
                optimizer.zero_grad()
        _add_gradients(network, live, batch, change)
        if change.clip:
            nn.utils.clip_grad_norm_(network.parameters(), change.clip)
        for optimizer in optimizers:
            _at_step(optimizer, change, step)
            optimizer.step()


def _order(pool: Pool, change: Change, generator: torch.Generator) -> Tensor:
    n = len(pool.images)
    if change.balance and pool.targets.ndim == 1:
        _, classes, counts = torch.unique(pool.targets, return_inverse=True, return_counts=True)
        return torch.multinomial(1.0 / counts[classes], n, replacement=True, generator=generator)
    return torch.randperm(n, generator=generator) if change.shuffle else torch.arange(n)


def _add_gradients(network: nn.Module, live: Live, batch: Pool, change: Change) -> None:
    assert live.criterion is not None
    size = change.chunk or len(batch.images)
    for x, y in zip(torch.split(batch.images, size), torch.split(batch.targets, size), strict=True):
        if len(x) < 2 <= len(batch.images):
            continue
        outputs = network(change.scale(x) if change.scale else x)
        if change.aligned and outputs.numel() == y.numel():
            outputs = outputs.reshape(y.shape)
        loss = live.criterion(outputs, y) * (len(x) / len(batch.images))
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]


def _at_step(optimizer: Any, change: Change, step: int) -> None:
    if change.rates:
        factor = change.rates[min(step, len(change.rates) - 1)]
        for group in optimizer.param_groups:
            group["lr"] = group["affinage_rate"] * factor
