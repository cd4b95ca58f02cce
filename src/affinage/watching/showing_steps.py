"""What steps of a training would show: the least that its loss can reach, gradients, dead and full units."""

import contextlib
import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from affinage.watching.changes import Change
from affinage.watching.copies import Opened, copied, set_modes
from affinage.watching.pools import Pool, classes_of_pool
from affinage.watching.scenes import Fact, Scene, Show
from affinage.watching.trials import outputs_of

_REACH = {"softmax": (0.0, 1.0), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_FREE = 20.0
"""An output of this size is as good as one without bounds, for any loss that takes logarithms."""
_OUT_OF_REACH = 0.1
"""Share of the loss that bounds must hold up to count; assumed."""
_FAINT, _FULL, _DEAD = 1e-3, 0.8, 0.95
_WILD = 1e3
_HEAVY = 0.75
_LEAST_DECAY = 0.01
_LARGE = 20.0
"""All: as in the rules."""
_FEWEST_LAYERS = 3
_BATCHES = 8


def out_of_reach(scene: Scene) -> Fact | None:
    """Compute the least loss that outputs within the bounds of their activation can reach."""
    live, pool = scene.live, scene.train
    if live.criterion is None or live.main is None:
        return None
    opened = Opened(copy.deepcopy(live.main)).eval()
    with torch.no_grad():
        opened(pool.images[:2])
    outputs = outputs_of(live, pool, training=False, change=Change())
    now = float(live.criterion(outputs, pool.targets))
    bounds = _REACH.get(opened.kind.removesuffix("_")) if opened.found else None
    if bounds is None or outputs.ndim != 2:
        return None
    best = _best(outputs, pool, bounds)
    least = float(live.criterion(best[0], pool.targets))
    free = min(_losses(live.criterion, best[1:], pool.targets), default=least)
    if not now < 0 and least - free < _OUT_OF_REACH * abs(now):
        return None
    n, (low, high) = len(pool.images), bounds
    return Fact(
        holds=True,
        said=f"the outputs of {n} training images lie between {float(outputs.min()):.3g} and "
        f"{float(outputs.max()):.3g}, and {opened.kind} lets none leave {low:g} to {high:g}; the best of "
        f"such outputs would still have a loss of {least:.3g} (it is {now:.3g}), where free ones "
        f"reach {free:.3g}",
    )


def _best(outputs: Tensor, pool: Pool, bounds: tuple[float, float]) -> list[Tensor]:
    """Return the best outputs within bounds, and one or two of the best without them."""
    low, high = bounds
    classes = classes_of_pool(pool, outputs.shape[1])
    if classes is not None:
        hot = nn.functional.one_hot(classes, outputs.shape[1]).to(outputs.dtype)
    elif pool.targets.numel() == outputs.numel():
        hot = pool.targets.to(outputs.dtype).reshape(outputs.shape)
    else:
        return [outputs]
    if bool(((hot == 0) | (hot == 1)).all()):
        return [low + (high - low) * hot, hot, _FREE * (2 * hot - 1)]
    return [hot.clamp(low, high), hot]


def _losses(criterion: Any, outputs: list[Tensor], targets: Tensor) -> list[float]:
    """Return the losses of outputs that the loss takes: some take only shares."""
    found = []
    for each in outputs:
        with contextlib.suppress(RuntimeError, ValueError):
            found.append(float(criterion(each, targets)))
    return found


def wild_gradient(scene: Scene) -> Fact | None:
    """Measure the norm of the gradient on some batches, at the start and at the end of the training."""
    norms = [
        math.sqrt(sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None))
        for onward in (False, True)
        for network in _with_gradients(scene, onward=onward)
    ]  # fmt: skip
    if not norms:
        return None
    wild = max(norms) if all(map(math.isfinite, norms)) else math.inf
    return Fact(
        holds=wild >= _WILD,
        said=f"the norm of the gradient of {len(norms)} batches, at the start and at the end of the "
        f"training, is at most {wild:.3g}",
    )


def faint_gradient(scene: Scene) -> Fact | None:
    """Compare the gradient of the first layer with that of the last ones, each by its weights."""
    shares = []
    for network in _with_gradients(scene, onward=True):
        sizes = [
            float(p.grad.norm() / p.detach().norm())
            for p in network.parameters()
            if p.ndim >= 2 and p.grad is not None and float(p.detach().norm()) > 0
        ]
        if len(sizes) < _FEWEST_LAYERS:
            return Fact(holds=False, said=f"{len(sizes)} layers with weights get a gradient")
        if sizes[-1] > 0:
            shares.append(sizes[0] / sizes[-1])
    if not shares:
        return None
    middle = sorted(shares)[len(shares) // 2]
    return Fact(
        holds=middle <= 10 * _FAINT,
        said=f"on {len(shares)} batches the gradient of the first layer is {middle:.2g} of the last one's, "
        f"each by the size of its weights",
    )


def _with_gradients(scene: Scene, *, onward: bool) -> list[nn.Module]:
    """Return copies, each with the gradient of one batch."""
    live, pool, found = scene.live, scene.train, []
    if live.criterion is None or live.main is None:
        return []
    network, _ = copied(live, pool, Change(onward=onward), seed=0)
    network.requires_grad_(requires_grad=True)
    set_modes(network, live, Change(), training=True)
    for start in range(0, len(pool.images), pool.batch)[:_BATCHES]:
        rows = slice(start, start + pool.batch)
        if len(pool.images[rows]) < 2:
            continue
        one = copy.deepcopy(network)
        one.zero_grad(set_to_none=True)
        with torch.enable_grad():
            live.criterion(one(pool.images[rows]), pool.targets[rows]).backward()  # type: ignore[no-untyped-call]
        found.append(one)
    return found


class _Answers(TorchFunctionMode):
    """Remembers what activations of some kinds gave."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names
        self.given: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in self.names and isinstance(result, Tensor):
            self.given.append(result.detach().clone())
        return result


def _answers(scene: Scene, *names: str) -> list[Tensor]:
    if scene.live.main is None:
        return []
    network: nn.Module = copy.deepcopy(scene.live.main)
    with torch.no_grad(), _Answers(frozenset(names)) as seen:
        network.eval()(scene.train.images[:256])
    given: list[Tensor] = seen.given
    return given


def dead_units(scene: Scene) -> Fact | None:
    """Count units of each ReLU that are zero for every image."""
    shares = [
        float((x.amax((0, *range(2, x.ndim))) <= 0).float().mean())
        for x in _answers(scene, "relu", "relu_")
        if x.ndim >= 2
    ]
    if not shares:
        return None
    n = min(len(scene.train.images), 256)
    return Fact(
        holds=max(shares) >= _DEAD,
        said=f"{n} training images went through a copy: at most {max(shares):.0%} of the units of one of "
        f"{len(shares)} ReLUs are zero for all of them",
    )


def full_units(scene: Scene) -> Fact | None:
    """Count values of each sigmoid and tanh that stand at the ends of their range."""
    shares = [
        float(((x > 0.98) | (x < low + 0.02)).float().mean())
        for name, low in (("sigmoid", 0.0), ("tanh", -1.0))
        for x in _answers(scene, name)
    ]
    most = max(shares, default=0.0)
    return Fact(
        holds=most > _FULL / 2,
        said=f"the training images went through a copy: at most {most:.0%} of the values of one of its "
        f"{len(shares)} sigmoids and tanhs stand at the ends",
    )


def heavy_dropout(scene: Scene) -> Fact | None:
    """Read the rates of dropout anew."""
    if scene.live.main is None:
        return None
    rates = [m.p for m in scene.live.main.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    return Fact(
        holds=max(rates, default=0.0) >= _HEAVY,
        said=f"{len(rates)} layers of dropout take at most {max(rates, default=0.0):.0%}",
    )


def strong_decay(scene: Scene) -> Fact:
    """Read the weight decay anew."""
    decays = [g.get("weight_decay", 0.0) for o in scene.live.optimizers for g in o.param_groups]
    return Fact(
        holds=max(decays, default=0.0) >= _LEAST_DECAY,
        said=f"the optimizers' weight decay is at most {max(decays, default=0.0):g}",
    )


def frozen_norms(scene: Scene) -> Fact | None:
    """See whether the layers that are spoken of are normalising ones whose weights rest."""
    if scene.live.main is None:
        return None
    modules = dict(scene.live.main.named_modules())
    norms = [modules[name] for name in scene.where if hasattr(modules.get(name), "running_mean")]
    resting = [one for one in norms if not any(p.requires_grad for p in one.parameters())]
    return Fact(
        holds=bool(resting),
        said=f"of the layers named {len(norms)} normalise by statistics, and {len(resting)} of these are "
        "frozen",
    )


def equal_units(scene: Scene) -> Fact | None:
    """See whether a hidden layer began with the same weights for all its units."""
    if scene.live.start is None:
        return None
    begun, _ = copied(scene.live, scene.train, Change(), seed=0)
    layers = [m for m in begun.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
    rows = [layer.weight.flatten(1) for layer in layers[:-1] if len(layer.weight) > 1]
    equal = sum(bool((each == each[:1]).all()) for each in rows)
    return Fact(
        holds=equal > 0,
        said=f"of {len(rows)} hidden layers {equal} began with the same weights for all units",
    )


def large_numbers(scene: Scene) -> Fact:
    """Look at the size of the numbers that the training images are given as."""
    largest = float(scene.train.images.abs().max())
    return Fact(
        holds=largest >= _LARGE,
        said=f"the training images are numbers of at most {largest:.3g} in size",
    )


GATES: dict[str, Show] = {
    "dead-units": dead_units,
    "frozen-batchnorm-in-training-mode": frozen_norms,
    "inputs-not-scaled": large_numbers,
    "saturated-units": full_units,
    "too-much-dropout": heavy_dropout,
    "vanishing-gradient": faint_gradient,
    "weight-decay-too-strong": strong_decay,
    "weights-begin-equal": equal_units,
}
"""What must be so for a finding to be tried: it alone proves nothing, as it may cost nothing."""
