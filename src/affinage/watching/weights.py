"""Weights, gradients and updates of each layer, and what the optimizer holds."""

import gc
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer as TorchOptimizer

from affinage.records.training_facts import Optimizer

_SETTINGS = ("eps", "betas", "nesterov", "dampening", "amsgrad", "alpha", "centered")
_SCHEDULE = (
    "patience",
    "factor",
    "step_size",
    "gamma",
    "T_max",
    "total_steps",
    "threshold",
    "cooldown",
)


@dataclass(slots=True)
class OptimizerTally:
    """One optimizer while it is watched."""

    optimizer: TorchOptimizer
    rates: tuple[float, ...]
    steps: int = 0
    backwards: int = 0
    looked: int = 0
    zeroed: int = 0
    clipped: bool = False
    never: dict[int, str] | None = None
    schedules: list[Any] = field(default_factory=list)

    def held(self) -> Iterable[nn.Parameter]:
        """Yield all parameters that it holds."""
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def look_for_old_gradients(self) -> None:
        """Before the first gradient of a step: see whether the last step's are still there."""
        grads = [p.grad for p in self.held() if p.grad is not None]
        self.looked += 1
        self.zeroed += not any(bool(grad.any()) for grad in grads[-8:])

    def look_for_gradients(self, names: dict[int, str]) -> None:
        """Before a step: remember those that never had a gradient."""
        bare = {
            id(p): names.get(id(p), "?") for p in self.held() if p.requires_grad and p.grad is None
        }
        if self.never is None:
            self.never = bare
        else:
            self.never = {key: name for key, name in self.never.items() if key in bare}

    def facts(self, trainable: dict[int, str], elsewhere: set[int]) -> Optimizer:
        """Return what was seen.

        Args:
            trainable: All trainable parameters' names by identity.
            elsewhere: Identities of those that any optimizer holds.
        """
        groups = self.optimizer.param_groups
        first = groups[0] if groups else {}
        momentum = first.get("momentum", first.get("mom"))  # fastai's word for it.
        farthest = max(
            self.schedules, key=_steps_of, default=None
        )  # Of one that is made of others.
        scheduler = farthest or _scheduler_of(self.optimizer)
        return Optimizer(
            name=type(self.optimizer).__name__,
            learning_rates=self.rates,
            weight_decays=tuple(float(g.get("weight_decay") or g.get("wd") or 0.0) for g in groups),
            momentum=float(momentum) if momentum is not None else None,
            settings=_settings(first) or None,
            missing=tuple(name for key, name in trainable.items() if key not in elsewhere),
            frozen_held=sum(not p.requires_grad for p in self.held()),
            steps=self.steps,
            backwards_per_step=self.backwards / self.steps if self.steps else None,
            zeroed_share=self.zeroed / self.looked if self.looked else None,
            without_gradient=tuple((self.never or {}).values()),
            clipped=self.clipped,
            scheduler=type(scheduler).__name__ if scheduler else "",
            scheduler_settings=_schedule_settings(scheduler) or None,
            scheduler_steps=_steps_of(scheduler),
        )


def _settings(group: dict[str, Any]) -> dict[str, float]:
    settings: dict[str, float] = {}
    for name in _SETTINGS:
        value = group.get(name)
        if name == "betas" and value is not None:
            settings |= {f"beta{i}": float(beta) for i, beta in enumerate(value, start=1)}
        elif isinstance(value, int | float):
            settings[name] = float(value)
    return settings


def _scheduler_of(optimizer: TorchOptimizer) -> Any:
    """Return the schedule that holds this optimizer: it may be older than the watch."""
    for referrer in gc.get_referrers(optimizer):
        if isinstance(referrer, torch.optim.lr_scheduler.LRScheduler):
            return referrer
        if isinstance(referrer, dict) and referrer.get("optimizer") is optimizer:
            for owner in gc.get_referrers(referrer):
                if isinstance(owner, torch.optim.lr_scheduler.LRScheduler):
                    return owner
    return None


def _steps_of(scheduler: Any) -> int:
    return max(int(getattr(scheduler, "last_epoch", 0) or 0), 0)


def _schedule_settings(scheduler: Any) -> dict[str, float]:
    return {
        name: float(value)
        for name in _SCHEDULE
        if isinstance(value := getattr(scheduler, name, None), int | float)
    }


@dataclass(slots=True)
class UpdateLook:
    """Weights before a step, to tell how far it moved them."""

    before: list[Tensor] = field(default_factory=list)
    weights: list[nn.Parameter] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)
    equal: dict[str, nn.Parameter] = field(default_factory=dict)

    def look_for_equals(
        self, modules: dict[str, nn.Module], *, first: bool
    ) -> dict[tuple[str, str], float]:
        """Return the share of units that have the weights of their layer's first one, where any has.

        Args:
            modules: By path.
            first: Whether no step was taken yet; later only layers that began with equal units are looked at.
        """
        if first:
            self.equal = {
                path: weight
                for path, module in modules.items()
                if isinstance(weight := getattr(module, "weight", None), nn.Parameter)
                and weight.requires_grad and weight.ndim > 1 and len(weight) > 1
            }  # fmt: skip
        shares: dict[tuple[str, str], float] = {}
        for path, weight in self.equal.items():
            rows = weight.detach().flatten(1)
            alike = torch.equal(rows[0], rows[1])
            shares["equal_units", path] = (
                float((rows == rows[0]).all(1).float().mean()) if alike else 0.0
            )
        self.equal = {path: w for path, w in self.equal.items() if shares["equal_units", path]}
        return {key: share for key, share in shares.items() if share or not first}

    def begin(self, modules: dict[str, nn.Module]) -> dict[tuple[str, str], float]:
        """Keep all trained weights; return weight and gradient norms by (series, layer)."""
        own = [
            (path, parameter)
            for path, module in modules.items()
            for parameter in module.parameters(recurse=False)
            if parameter.requires_grad
        ]
        self.layers, self.weights = [path for path, _ in own], [p for _, p in own]
        self.before = [p.detach().clone() for p in self.weights]
        self.sizes = _by_layer(self.layers, _norms(self.before))
        given = [(path, p.grad) for path, p in own if p.grad is not None]
        gradients = dict.fromkeys(self.layers, 0.0)
        gradients |= _by_layer([path for path, _ in given], _norms([g for _, g in given]))
        numbers = {("weight_norm", path): norm for path, norm in self.sizes.items()}
        numbers |= {("gradient_norm", path): norm for path, norm in gradients.items()}
        numbers["gradient_norm", ""] = math.hypot(*gradients.values())
        return numbers

    def end(self) -> dict[tuple[str, str], float]:
        """Return update ratios by (series, layer)."""
        after = [p.detach() for p in self.weights]
        moved = _by_layer(self.layers, _norms(_differences(after, self.before)))
        ratios = {
            ("update_ratio", path): norm / size if (size := self.sizes[path]) else float(norm > 0)
            for path, norm in moved.items()
        }
        self.before, self.weights, self.layers, self.sizes = [], [], [], {}
        return ratios


def _differences(after: list[Tensor], before: list[Tensor]) -> list[Tensor]:
    return list(torch._foreach_sub(after, before)) if after else []


def _norms(tensors: list[Tensor]) -> list[float]:
    if not tensors:
        return []
    norms = torch._foreach_norm([tensor.detach().float() for tensor in tensors])
    return [float(norm) for norm in torch.stack([norm.cpu() for norm in norms]).tolist()]


def _by_layer(layers: list[str], norms: list[float]) -> dict[str, float]:
    """Return the norm of each layer's tensors together."""
    together: dict[str, list[float]] = {}
    for layer, norm in zip(layers, norms, strict=True):
        together.setdefault(layer, []).append(norm)
    return {layer: math.hypot(*each) for layer, each in together.items()}
