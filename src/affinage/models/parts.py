"""Parts: what a user brings in place of the recipe's network, loss, metrics and augmentation."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affinage.errors import ModelError, RunError
from affinage.models.build import Backbone
from affinage.models.heads import AveragePool, MapsOf, make_pool
from affinage.models.weights import Weights
from affinage.records.networks import ModelSettings
from affinage.records.preprocessing import Preprocessing

Loss = Callable[[Tensor, Tensor], Tensor]
Metric = Callable[[NDArray[Any], NDArray[Any]], float]
Transform = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

SIZE = 224
"""Sides of a module's input, pixels, where neither it nor the recipe says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """A user's own parts of a training; each is a plain module or function, each may be left out.

    Attributes:
        model: Normalised images (n, 3, height, width) → features (n, d), tokens (n, places, d) or maps
            (n, d, rows, columns). It stands in place of the backbone, with the weights that it has;
            pooling and head are put on it as the recipe says. A copy is trained, not the module itself.
            An attribute `preprocessing` (a `Preprocessing`) says what it wants to see; without one:
            the recipe's size, else 224 px, and values from 0 to 1.
        loss: Raw outputs (n, outputs) and targets → losses (n,). Targets are int64 (n,) for
            `classify`, float (n, labels) for the other tasks.
        metrics: By name: predictions (n, labels), targets → a number. Probabilities, or expected
            counts. They are reported beside the task's own.
        transform: Pixels, uint8 (height, width, 3), and a generator → pixels. It is applied to
            training images before any other augmentation. All randomness comes from the generator.
    """

    model: nn.Module | None = None
    loss: Loss | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    transform: Transform | None = None

    @property
    def names(self) -> dict[str, str]:
        """What was brought, by the kind of part: where it is defined, for the run to say so."""
        given: dict[str, object] = {
            "model": self.model,
            "loss": self.loss,
            "transform": self.transform,
        }
        given |= {f"metric {name}": metric for name, metric in self.metrics.items()}
        return {kind: qualified(part) for kind, part in given.items() if part is not None}


def require_parts(needed: Mapping[str, str], given: Parts | None, *, to: str) -> None:
    """Raise unless the parts that a run was made with are given again.

    Args:
        needed: `Parts.names` of the run, or those of them that matter now.
        given: What is given now.
        to: What for, such as "go on" or "predict".

    Raises:
        RunError: If one is missing, or is another one.
    """
    names = given.names if given is not None else {}
    for kind, name in needed.items():
        if names.get(kind) == name:
            continue
        instead = f"'{names[kind]}' was given" if kind in names else "it was not given"
        raise RunError(
            f"The run was made with a {kind} of your own, '{name}', and {instead}: "
            f"the run's folder holds no code, so it cannot {to} without it.",
            remedy="In Python, give it again: parts=affinage.Parts(...), as when the run was made.",
        )


def own_backbone(module: nn.Module, settings: ModelSettings) -> Backbone:
    """Return a user's module as a backbone, with a copy of its weights.

    Args:
        module: As `Parts.model`.
        settings: Its input's size, pooling and head are read.

    Raises:
        ModelError: If it does not give features, tokens or maps.
    """
    own = copy.deepcopy(module).eval()
    for parameter in own.parameters():
        parameter.requires_grad_()
    preprocessing = _preprocessing(own, settings)
    with torch.inference_mode():
        output = own(torch.zeros((1, 3, preprocessing.height, preprocessing.width)))
        if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4):
            raise ModelError(
                f"'{qualified(module)}' gives {_described(output)}, not features (n, d), tokens "
                "(n, places, d) or maps (n, d, rows, columns).",
                remedy="See what else is asked of it: affinage.check_part('model', module)",
            )
        pool: nn.Module | None = None
        if output.ndim > 2:
            channels = output.shape[1] if output.ndim == 4 else output.shape[2]
            pool = MapsOf(make_pool(settings.head) or AveragePool(), channels=channels)
            output = pool(output)
    checksum = fingerprint(own)
    name = qualified(module)
    return Backbone(
        name=name,
        module=own.to(memory_format=torch.channels_last),
        preprocessing=preprocessing,
        features=int(output.shape[1]),
        weights=Weights(
            origin="own",
            path=None,
            sha256=checksum,
            description=f"the weights that the given module '{name}' had",
            licence="not stated",
        ),
        pool=pool,
        head=settings.head,
        identity=f"{name}, {settings.head.pooling} {settings.head.gem_power:g}, {checksum}",
    )


def qualified(part: object) -> str:
    """Return where a function, or a module's class, is defined."""
    kind = part if hasattr(part, "__qualname__") else type(part)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights and statistics, with their names."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def _preprocessing(module: nn.Module, settings: ModelSettings) -> Preprocessing:
    own = getattr(module, "preprocessing", None)
    if isinstance(own, Preprocessing):
        return own
    return Preprocessing(
        width=settings.width or SIZE,
        height=settings.height or SIZE,
        crop=1.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def _described(output: object) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    return f"a {type(output).__name__}"
