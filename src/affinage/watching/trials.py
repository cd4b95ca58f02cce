"""Experiments on copies of a watched training: one thing is changed, all else stays."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from affinage.watching.layers import NORMS
from affinage.watching.live import Live
from affinage.watching.passes import images_in, targets_in

_IMAGES = 1000
_SECONDS = 5.0
_ENDS = {"softmax", "sigmoid", "relu", "relu_", "tanh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different in the changed training.

    Attributes:
        rate: Factor on all learning rates.
        shuffle: Whether images are drawn in random order; None = as they come.
        zero: Whether gradients are set to zero before each step.
        decay: Factor on weight decay.
        dropout: Whether dropout acts.
        clip: Largest norm of the gradient; 0 = none.
        resting: Layers that are kept in evaluation mode, with the statistics that they had at first.
        open_output: Whether an activation at the very end is left out.
        scale: What every image goes through first.
    """

    rate: float = 1.0
    shuffle: bool = False
    zero: bool = True
    decay: float = 1.0
    dropout: bool = True
    clip: float = 0.0
    resting: tuple[str, ...] = ()
    open_output: bool = False
    scale: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Training images in the order in which the loader gave them, with their targets."""

    images: Tensor
    targets: Tensor
    batch: int


@dataclass(slots=True)
class _Plan:
    change: Change
    seed: int
    steps: int
    deadline: float


def pool_of(live: Live) -> Pool | None:
    """Return up to 1,000 training images; None where the loader does not give images with targets."""
    loader = live.loaders.get("train")
    deadline, images, targets = time.monotonic() + _SECONDS, [], []
    try:
        for batch in loader if loader is not None else ():
            x = images_in(batch)
            y = targets_in(batch, len(x)) if x is not None else None
            if x is None or y is None:
                return None
            images.append(x)
            targets.append(y)
            if sum(map(len, images)) >= _IMAGES or time.monotonic() > deadline:
                break
        if not images:
            return None
        return Pool(images=torch.cat(images), targets=torch.cat(targets), batch=len(images[0]))
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None


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
    network = copy.deepcopy(live.main)
    _restore(network, live, change.resting)
    right: list[bool] = []
    torch.manual_seed(0)
    for x, y in zip(
        torch.split(pool.images, pool.batch), torch.split(pool.targets, pool.batch), strict=True
    ):
        _set_modes(network, change, training=training)
        with torch.no_grad():
            outputs = network(change.scale(x) if change.scale else x)
        classes = y.argmax(1) if y.ndim == 2 and y.shape[1] == outputs.shape[-1] else y
        if outputs.ndim != 2 or outputs.shape[1] < 2 or classes.ndim != 1:
            return None
        right += (outputs.argmax(1) == classes).tolist()
    return right


def accuracy_after(
    live: Live, pool: Pool, change: Change, *, seed: int, steps: int, deadline: float
) -> float:
    """Train a copy for some steps and return the share of the pool that it gets right afterwards.

    For targets that are no classes: 1 / (1 + squared error / variance of the targets), which is 0.5 for
    always saying their mean and 1 where all are met.
    """
    network = copy.deepcopy(live.main)
    assert network is not None
    torch.manual_seed(seed)
    with torch.enable_grad():
        if not live_is_pretrained(live):
            _begin_anew(network)
        if change.open_output:
            network = Opened(network)
        _train(network, live, pool, _Plan(change, seed, steps, deadline))
    _set_modes(network, change, training=False)
    with torch.no_grad():
        images = change.scale(pool.images) if change.scale else pool.images
        outputs = torch.cat([network(x) for x in torch.split(images, 64)])
    y = pool.targets
    classes = y.argmax(1) if y.ndim == 2 and y.shape[1] == outputs.shape[-1] and _one_hot(y) else y
    if outputs.ndim == 2 and outputs.shape[1] > 1 and classes.ndim == 1:
        return float((outputs.argmax(1) == classes).float().mean())
    wanted = y.flatten().float()
    loss = float(
        (outputs.flatten().float() - wanted).square().mean() / wanted.var().clamp_min(1e-9)
    )
    return 1.0 / (1.0 + loss) if math.isfinite(loss) else 0.0


def _restore(network: nn.Module, live: Live, names: tuple[str, ...]) -> None:
    """Give resting layers the statistics that they would have kept."""
    modules = dict(network.named_modules())
    for name in names:
        start, module = live.norm_starts.get(name), modules.get(name)
        if start is not None and module is not None:
            module.get_buffer("running_mean").copy_(start[0])
            module.get_buffer("running_var").copy_(start[1])


def _one_hot(y: Tensor) -> bool:
    return bool(((y == 0) | (y == 1)).all()) and bool((y.sum(1) == 1).all())


def _begin_anew(network: nn.Module) -> None:
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()


def live_is_pretrained(live: Live) -> bool:
    """Return whether weights must be kept: frozen ones are there, or a backbone names its pretraining."""
    assert live.main is not None
    frozen = any(not p.requires_grad for p in live.main.parameters())
    return frozen or any(hasattr(m, "pretrained_cfg") for m in live.main.modules())


class Opened(nn.Module):
    """A network without the activation at its very end, be it a layer or a function that it calls.

    Attributes:
        network: With the activation.
        found: Whether the last output was that of an activation.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.found = False

    def forward(self, images: Tensor) -> Tensor:
        """Return what the last activation was given; the output itself where there is none."""
        with _LastActivation() as last:
            outputs: Tensor = self.network(images)
        self.found = last.given is not None and last.gave is outputs
        return last.given if self.found and last.given is not None else outputs


class _LastActivation(TorchFunctionMode):
    """Remembers what the latest activation was given, and what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Tensor | None = None
        self.gave: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _ENDS and args and isinstance(args[0], Tensor):
            self.given, self.gave = args[0], result
        return result


def can_be_opened(live: Live, pool: Pool) -> bool:
    """Return whether the network ends in an activation that can be left out."""
    if live.main is None:
        return False
    opened = Opened(copy.deepcopy(live.main)).eval()
    with torch.no_grad():
        opened(pool.images[:2])
    return opened.found


def _train(network: nn.Module, live: Live, pool: Pool, plan: _Plan) -> None:
    change, optimizer = plan.change, _optimizer(network, live, plan.change)
    generator = torch.Generator().manual_seed(plan.seed)
    n, order, at = len(pool.images), torch.arange(len(pool.images)), 0
    for step in range(plan.steps):
        if time.monotonic() > plan.deadline:
            return
        if at >= n or step == 0:
            order = torch.randperm(n, generator=generator) if change.shuffle else torch.arange(n)
            at = 0
        rows = order[at : at + pool.batch]
        at += pool.batch
        if len(rows) < 2:
            continue
        _set_modes(network, change, training=True)
        x = pool.images[rows]
        if change.zero:
            optimizer.zero_grad()
        assert live.criterion is not None
        loss = live.criterion(network(change.scale(x) if change.scale else x), pool.targets[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        if change.clip:
            nn.utils.clip_grad_norm_(network.parameters(), change.clip)
        optimizer.step()


def _optimizer(network: nn.Module, live: Live, change: Change) -> Any:
    original = live.optimizers[-1]
    defaults = dict(original.defaults)
    group = original.param_groups[-1]
    rate = float(group.get("initial_lr", defaults.get("lr", group["lr"])))
    decay = float(group.get("weight_decay") or 0.0) * change.decay
    settings = {
        key: value
        for key, value in defaults.items()
        if key in {"momentum", "betas", "eps", "nesterov", "alpha", "dampening"}
        and value is not None
    }
    trained = [p for p in network.parameters() if p.requires_grad]
    return type(original)(trained, lr=rate * change.rate, weight_decay=decay, **settings)


def _set_modes(network: nn.Module, change: Change, *, training: bool) -> None:
    network.train(training)
    for name, module in network.named_modules():
        resting = name in change.resting and isinstance(module, NORMS)
        if resting or (not change.dropout and type(module).__name__.startswith("Dropout")):
            module.eval()
