"""What the layers of a network show during a pass that is looked at."""

import contextlib
import math
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from affinage.records.training_facts import BatchNorm, Layer

NORMS = nn.modules.batchnorm._BatchNorm
_SATURATING = {"Sigmoid": (0.01, 0.99), "Tanh": (-0.98, 0.98)}
_RECTIFYING = {"ReLU", "ReLU6", "Hardswish", "Hardtanh", "Threshold"}
_IMAGES = 8
_NUMBERS = 32_768
_SETTINGS = ("p", "in_features", "out_features", "in_channels", "out_channels", "momentum", "eps")


@dataclass(slots=True)
class Shown:
    """What one pass showed: numbers by (series, layer), norms' modes, and the first layer's input."""

    numbers: dict[tuple[str, str], float] = field(default_factory=dict)
    norms: dict[str, tuple[bool, int, float | None]] = field(default_factory=dict)
    inputs: Tensor | None = None
    order: list[str] = field(default_factory=list)


class Looker:
    """Hooks on every layer of the roots, for the time of one pass.

    Args:
        at_work: Counts the time inside it as ours.
    """

    def __init__(self, at_work: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self.shown = Shown()
        self._at_work = at_work
        self._current: list[tuple[str, nn.Module]] = []
        self._handles: list[Any] = []

    def attach(self, name: str, root: nn.Module) -> None:
        """Look at all layers of a root from now on; hooks would compile a compiled network anew."""
        if any(_is_compiled(module) for module in root.modules()):
            return
        for path, module in root.named_modules(prefix=name):
            if is_layer(module):
                self._attach(path, module)

    def _attach(self, path: str, module: nn.Module) -> None:
        def before(_: nn.Module, args: tuple[Any, ...]) -> None:
            self._current.append((path, module))
            with self._at_work():
                self._enter(path, module, args)

        def after(_: nn.Module, args: tuple[Any, ...], result: Any) -> None:
            if self._current and self._current[-1][0] == path:
                self._current.pop()
            if isinstance(result, Tensor):
                with self._at_work(), quiet():
                    self._measure(path, type(module).__name__, result)

        self._handles.append(module.register_forward_pre_hook(before))
        self._handles.append(module.register_forward_hook(after))

    def detach(self) -> Shown:
        """Take all hooks away; return what was seen."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._current.clear()
        shown, self.shown = self.shown, Shown()
        return shown

    def activated(self, name: str, result: Tensor) -> None:
        """An activation function was called; where no module of that kind did it, it is a layer too."""
        if not self._handles:
            return
        if self._current and not _has_own(self._current[-1][1]):
            return  # Of `nn.ReLU` itself, which is measured as a layer.
        after = self.shown.order[-1] if self.shown.order else "input"
        with self._at_work(), quiet():
            kind = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}[name]
            self._measure(f"{after} > {name}", kind, result)

    def _enter(self, path: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        first = args[0] if args and isinstance(args[0], Tensor) else None
        weighted = _has_own(module)
        if path not in self.shown.order:
            self.shown.order.append(path)
        if first is None:
            return
        if weighted and self.shown.inputs is None and first.is_floating_point() and first.ndim > 1:
            self.shown.inputs = first.detach()
        if isinstance(module, NORMS):
            with quiet():
                self.shown.norms[path] = _norm(module, first.detach())

    def _measure(self, path: str, kind: str, result: Tensor) -> None:
        if not result.is_floating_point() or not result.numel() or result.ndim < 2:
            return
        values = result.detach()
        values = values[:_IMAGES] if values.ndim > 2 else values
        numbers, sample = self.shown.numbers, _sampled(values).float().contiguous()
        mean = float(sample.mean())
        std = float(torch.linalg.vector_norm(sample - mean)) / sample.numel() ** 0.5
        numbers["activation_mean", path], numbers["activation_std", path] = mean, std
        if not math.isfinite(std):
            numbers["non_finite", path] = float((~torch.isfinite(values)).sum())
        if kind in _RECTIFYING:
            numbers["zero_fraction", path] = 1 - float(sample.count_nonzero()) / sample.numel()
            numbers["dead_units", path] = _dead(sample, values)
        if kind in _SATURATING:
            low, high = _SATURATING[kind]
            numbers["saturation", path] = float(((sample < low) | (sample > high)).float().mean())


def _sampled(values: Tensor, most: int = _NUMBERS) -> Tensor:
    """Return values at every n-th place of all channels of all images: about so many numbers."""
    step = values.numel() / most
    if step <= 1 or values.ndim < 3:
        return values
    if values.ndim == 3:
        return values[:, :: math.ceil(step)]
    stride = math.ceil(step ** (1 / (values.ndim - 2)))
    return values[(slice(None), slice(None), *[slice(None, None, stride)] * (values.ndim - 2))]


def _dead(sample: Tensor, values: Tensor) -> float:
    """Return the share of channels that are zero everywhere; channels last in sequences.

    Args:
        sample: Some of the values: a channel with one that is not zero is alive for certain.
        values: All of them.
    """
    axis = 1 if values.ndim != 3 else 2
    others = [a for a in range(values.ndim) if a != axis]
    silent = (sample.abs().sum(others) == 0).nonzero().flatten()
    if sample.numel() != values.numel() and len(silent):
        rest = values.index_select(axis, silent).movedim(axis, 0).flatten(1)
        silent = silent[~rest.any(1)]
    return len(silent) / values.shape[axis]


def _norm(module: Any, inputs: Tensor) -> tuple[bool, int, float | None]:
    """Return whether it normalises by the batch, values per channel, and the gap of the means."""
    by_batch = module.training or module.running_mean is None
    values = inputs.numel() // max(inputs.shape[1], 1)
    if module.running_mean is None:
        return by_batch, values, None
    sample = _sampled(inputs[: 2 * _IMAGES], max(_NUMBERS, 256 * inputs.shape[1]))
    mean = sample.float().mean(dim=[a for a in range(inputs.ndim) if a != 1])
    spread = (module.running_var + module.eps).sqrt()
    return by_batch, values, float(((mean - module.running_mean).abs() / spread).mean())


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or module._compiled_call_impl is not None


def is_layer(module: nn.Module) -> bool:
    """Return whether a module is a layer by itself: it has weights of its own, or no parts."""
    return _has_own(module) or next(module.children(), None) is None


def _has_own(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Compute without a graph."""
    with torch.no_grad():
        yield


def layer_facts(
    modules: dict[str, nn.Module],
    order: list[str],
    held: set[int] | None,
    asleep: Container[str] = (),
) -> tuple[Layer, ...]:
    """Return all layers, those that computed in the order in which they did.

    Args:
        modules: All modules by path.
        order: Paths in the order of a pass; may name functions as `path > relu`.
        held: Identities of the parameters that optimizers hold; None where none was seen.
        asleep: Paths of those that compute without gradients, whatever their weights ask for.
    """
    layers = {path: module for path, module in modules.items() if is_layer(module)}
    ranks = {path: rank for rank, path in enumerate(order)}
    paths = sorted(layers, key=lambda path: ranks.get(path, len(ranks)))
    return tuple(_layer(path, layers[path], held, awake=path not in asleep) for path in paths)


def _layer(path: str, module: nn.Module, held: set[int] | None, *, awake: bool) -> Layer:
    own = list(module.parameters(recurse=False))
    trainable = [p for p in own if p.requires_grad and awake]
    settings = {
        name: float(value)
        for name in _SETTINGS
        if isinstance(value := getattr(module, name, None), int | float)
    }
    return Layer(
        name=path,
        kind=type(module).__name__,
        parameters=sum(p.numel() for p in own),
        trainable=sum(p.numel() for p in trainable),
        optimized=sum(p.numel() for p in trainable if id(p) in held) if held is not None else None,
        settings=settings or None,
    )


@dataclass(slots=True)
class NormTally:
    """Every BatchNorm over the training steps that were looked at."""

    steps: dict[str, int] = field(default_factory=dict)
    by_batch: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, float | None] = field(default_factory=dict)
    starts: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def begin(self, modules: dict[str, nn.Module]) -> None:
        """Keep the moving statistics as they are before the first step."""
        for path, module in modules.items():
            if isinstance(module, NORMS) and isinstance(module.running_mean, Tensor):
                self.starts.setdefault(
                    path, (module.running_mean.clone(), module.get_buffer("running_var").clone())
                )

    def add(self, shown: Shown) -> None:
        """Count the norms of one training pass."""
        for path, (by_batch, values, gap) in shown.norms.items():
            self.steps[path] = self.steps.get(path, 0) + 1
            self.by_batch[path] = self.by_batch.get(path, 0) + by_batch
            self.values[path] = min(values, self.values.get(path, values))
            self.gaps[path] = gap

    def facts(self, modules: dict[str, nn.Module], order: list[str]) -> tuple[BatchNorm, ...]:
        """Return every BatchNorm that computed."""
        return tuple(
            BatchNorm(
                name=path,
                steps=self.steps.get(path, 0),
                steps_by_batch=self.by_batch.get(path, 0),
                trainable=any(p.requires_grad for p in module.parameters()),
                below_frozen=not _trained_before(path, modules, order),
                values=self.values.get(path),
                drift=self._drift(path, module),
                gap=self.gaps.get(path),
            )
            for path, module in modules.items()
            if isinstance(module, NORMS)
        )

    def _drift(self, path: str, module: Any) -> float | None:
        start = self.starts.get(path)
        if start is None or module.running_mean is None:
            return None
        mean, variance = start
        return float(((module.running_mean - mean).abs() / (variance + module.eps).sqrt()).mean())


def _trained_before(path: str, modules: dict[str, nn.Module], order: list[str]) -> bool:
    until = order[: order.index(path) + 1] if path in order else [path]
    return any(
        p.requires_grad
        for name in until
        if name in modules
        for p in modules[name].parameters(recurse=False)
    )
