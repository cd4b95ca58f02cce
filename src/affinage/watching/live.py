"""A watched training at rest, for experiments on copies of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from affinage.records.training_facts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What experiments may copy and change; the originals stay as they are.

    Attributes:
        roots: Networks by name.
        main: The network whose outputs went into the loss.
        loaders: By part.
        optimizers: Those that took steps.
        batches: A sample of each part, as its loader gave it.
        forward: From a network (`main` or a copy of it) and a batch to its outputs.
        criterion: From outputs and targets to the mean loss; None where it is not known.
        norm_starts: Moving mean and variance of every BatchNorm before the first step, by path.
        start: Weights and buffers of `main` before the first step, by name; None where they would have
            filled too much memory.
        modes: Whether each module of `main` was in training mode during steps, by path.
        rates: Learning rates of the last optimizer before its first step, by group.
    """

    roots: dict[str, nn.Module]
    main: nn.Module | None
    loaders: dict[Part, Any]
    optimizers: tuple[Any, ...]
    batches: dict[Part, list[Any]]
    forward: Callable[[nn.Module, Any], Tensor]
    criterion: Callable[[Tensor, Tensor], Tensor] | None
    norm_starts: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    start: dict[str, Tensor] | None = None
    modes: dict[str, bool] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
