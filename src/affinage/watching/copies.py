"""Copies of a watched network and its optimizers, with one thing changed."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from affinage.watching.changes import Change
from affinage.watching.layers import NORMS
from affinage.watching.live import Live
from affinage.watching.pools import Pool

_ENDS = {"softmax", "sigmoid", "relu", "relu_", "tanh"}
_INNER = {"leaky": {"relu", "relu_"}, "relu": {"sigmoid", "tanh", "hardtanh"}}
_LEAK, _HIDDEN = 0.1, 256
_NORM = "affinage_norm"
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d)


def copied(
    live: Live, pool: Pool, change: Change, *, seed: int
) -> tuple[nn.Module, tuple[Any, ...]]:
    """Return a copy of the network at its start, changed, and its optimizers.

    Args:
        live: The watched training; its own network and optimizers stay as they are.
        pool: Images that the copy will see.
        change: What is different.
        seed: Of whatever weights begin anew.
    """
    assert live.main is not None
    network, *optimizers = copy.deepcopy((live.main, *live.optimizers))
    torch.manual_seed(seed)
    if not change.onward:
        _begin(network, live)
        for optimizer in optimizers:
            optimizer.state.clear()
            optimizer.zero_grad()
    if change.plain:
        return _plain(network, pool, 1e-3 * change.rate)
    _restore(network, live, change.resting)
    _reshape(network, change)
    _hold(network, change, optimizers)
    _set_rates(optimizers, live, change)
    return _wrapped(network, pool, change), tuple(optimizers)


def _begin(network: nn.Module, live: Live) -> None:
    if live.start is not None:
        network.load_state_dict(live.start)
    elif not live_is_pretrained(live):
        _reset(network)


def _reset(network: nn.Module) -> None:
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()


def live_is_pretrained(live: Live) -> bool:
    """Return whether weights must be kept: frozen ones are there, or a backbone names its pretraining."""
    assert live.main is not None
    frozen = any(not p.requires_grad for p in live.main.parameters())
    return frozen or any(hasattr(m, "pretrained_cfg") for m in live.main.modules())


def _restore(network: nn.Module, live: Live, names: tuple[str, ...]) -> None:
    """Give resting layers the statistics that they would have kept."""
    modules = dict(network.named_modules())
    for name in names:
        start, module = live.norm_starts.get(name), modules.get(name)
        if start is not None and module is not None:
            module.get_buffer("running_mean").copy_(start[0])
            module.get_buffer("running_var").copy_(start[1])


def weighted(network: nn.Module) -> list[nn.Module]:
    """Return the dense and convolutional layers of a network, in its own order."""
    return [module for module in network.modules() if isinstance(module, WEIGHTED)]


def _reshape(network: nn.Module, change: Change) -> None:
    layers = weighted(network)
    if layers and change.reset:
        _reset(network if change.reset == "all" else layers[-1])
    with torch.no_grad():
        for layer in layers if change.fresh else ():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            if isinstance(layer.bias, Tensor):
                layer.bias.zero_()
        if layers and change.head != 1.0:
            for parameter in layers[-1].parameters():
                parameter.mul_(change.head)
    for layer in layers[:-1] if change.normed else ():
        _normalise(layer)
    for layer in layers[:-1] if change.between else ():
        layer.register_forward_hook(lambda _, __, result: torch.relu(result))


def _normalise(layer: nn.Module) -> None:
    """Put a BatchNorm without weights of its own behind a layer."""
    kind = nn.BatchNorm2d if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d
    layer.add_module(_NORM, kind(layer.get_parameter("weight").shape[0], affine=False))
    layer.register_forward_hook(lambda own, _, result: getattr(own, _NORM)(result))


def _hold(network: nn.Module, change: Change, optimizers: list[Any]) -> None:
    """Let what the change says be trained, and the last optimizer hold it."""
    if not change.trained or not optimizers:
        return
    layers = weighted(network)
    chosen = layers[-1] if change.trained == "last" and layers else network
    chosen.requires_grad_(requires_grad=True)
    held = {id(p) for one in optimizers for group in one.param_groups for p in group["params"]}
    left = [p for p in chosen.parameters() if id(p) not in held]
    settings = {
        k: v
        for k, v in optimizers[-1].param_groups[-1].items()
        if k not in {"params", "initial_lr"}
    }
    if left:
        optimizers[-1].add_param_group({"params": left, **settings})


def _set_rates(optimizers: list[Any], live: Live, change: Change) -> None:
    for optimizer in optimizers:
        for number, group in enumerate(optimizer.param_groups):
            known = live.rates[number] if number < len(live.rates) else group["lr"]
            own = group["lr"] if change.onward else group.get("initial_lr", known)
            group["lr"] = change.set_rate or float(own) * change.rate
            group["affinage_rate"] = group["lr"]
            if group.get("weight_decay"):
                group["weight_decay"] *= change.decay


def _plain(network: nn.Module, pool: Pool, rate: float) -> tuple[nn.Module, tuple[Any, ...]]:
    with torch.no_grad():
        outputs = network(pool.images[:2])
    large = nn.Sequential(
        nn.Flatten(), nn.Linear(pool.images[0].numel(), _HIDDEN), nn.ReLU(),
        nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs.shape[1]),
    )  # fmt: skip
    optimizer = torch.optim.Adam(large.parameters(), lr=rate)
    optimizer.param_groups[0]["affinage_rate"] = rate
    return large, (optimizer,)


def _wrapped(network: nn.Module, pool: Pool, change: Change) -> nn.Module:
    if change.open_output:
        return Opened(network)
    if change.activation:
        with torch.no_grad():
            at_end = Opened(network)
            at_end(pool.images[:2])
        return Activated(network, change.activation, keeps_last=at_end.found)
    return network


def set_modes(network: nn.Module, live: Live, change: Change, *, training: bool) -> None:
    """Put a copy into evaluation mode, or into the modes that its layers had during steps."""
    network.train(training)
    inner = network.network if isinstance(network, Opened | Activated) else network
    for name, module in inner.named_modules():
        if training and not change.plain:
            module.training = live.modes.get(name, True) or bool(change.trained)
        resting = name in change.resting and isinstance(module, NORMS)
        if resting or (not change.dropout and type(module).__name__.startswith("Dropout")):
            module.eval()


class Opened(nn.Module):
    """A network without the activation at its very end, be it a layer or a function that it calls.

    Attributes:
        network: With the activation.
        found: Whether the last output was that of an activation.
        kind: Name of the last activation; empty where there is none.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.found = False
        self.kind = ""

    def forward(self, images: Tensor) -> Tensor:
        """Return what the last activation was given; the output itself where there is none."""
        with _LastActivation() as last:
            outputs: Tensor = self.network(images)
        self.found = last.given is not None and last.gave is outputs
        self.kind = last.kind
        return last.given if self.found and last.given is not None else outputs


class _LastActivation(TorchFunctionMode):
    """Remembers what the latest activation was given, and what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Tensor | None = None
        self.gave: Tensor | None = None
        self.kind = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _ENDS and args and isinstance(args[0], Tensor):
            self.given, self.gave, self.kind = args[0], result, func.__name__
        return result


class Activated(nn.Module):
    """A network whose inner activations are others, be they layers or functions that it calls.

    Args:
        network: As it was.
        kind: `leaky` or `relu`.
        keeps_last: Whether the last activation of a pass stays as it was.
    """

    def __init__(self, network: nn.Module, kind: str, *, keeps_last: bool) -> None:
        super().__init__()
        self.network, self.kind, self.keeps_last = network, kind, keeps_last
        self.count = 0

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs."""
        if self.keeps_last and not self.count:
            with torch.no_grad(), _Replaced(self.kind, -1) as counting:
                self.network(images)
            self.count = counting.seen
        with _Replaced(self.kind, self.count if self.keeps_last else 0):
            outputs: Tensor = self.network(images)
        return outputs


class _Replaced(TorchFunctionMode):
    """Replaces activations; number `kept` stays, counted from 1; -1 = all stay and are counted."""

    def __init__(self, kind: str, kept: int) -> None:
        super().__init__()
        self.kind, self.kept, self.seen = kind, kept, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in _INNER[self.kind] or not args:
            return func(*args, **(kwargs or {}))
        self.seen += 1
        if self.kept in {-1, self.seen}:
            return func(*args, **(kwargs or {}))
        x = args[0]
        return nn.functional.leaky_relu(x, _LEAK) if self.kind == "leaky" else nn.functional.relu(x)


def can_be_opened(live: Live, pool: Pool) -> bool:
    """Return whether the network ends in an activation that can be left out."""
    if live.main is None:
        return False
    opened = Opened(copy.deepcopy(live.main)).eval()
    with torch.no_grad():
        opened(pool.images[:2])
    return opened.found
