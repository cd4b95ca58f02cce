"""What is measured on a training at rest: it must be left as it was found."""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affinage.records.signals import Point
from affinage.records.training_facts import Part
from affinage.watching.curves import Curves
from affinage.watching.passes import images_in, targets_in
from affinage.watching.targets import encoding_of

Forward = Callable[[Any], Tensor]

_IMAGES = 128
_TWICE = 4


@contextlib.contextmanager
def at_rest(roots: dict[str, nn.Module]) -> Iterator[None]:
    """Restore modes, buffers and every generator of random numbers afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    modes = {m: m.training for root in roots.values() for m in root.modules()}
    buffers = {b: b.detach().clone() for root in roots.values() for b in root.buffers()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers.items():
                buffer.copy_(value)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def sample_of(loader: Any, *, images: int = _IMAGES) -> list[Any]:
    """Return the first batches of a loader, about so many images; a loader that fails gives fewer."""
    batches: list[Any] = []
    seen = 0
    try:
        for batch in loader:
            tensor = images_in(batch)
            batches.append(copy.copy(batch))
            seen += len(tensor) if tensor is not None else images
            if seen >= images:
                break
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return batches
    return batches


def measure(
    batches: list[Any], forward: Forward, *, on: str, epoch: float, loss: str,
    criterion: Callable[[Tensor, Tensor], Tensor] | None, from_logits: bool,
) -> list[Point]:  # fmt: skip
    """Return the scores of a sample of batches, in whatever mode the network is now.

    Args:
        batches: As a loader gave them.
        forward: From a batch to outputs.
        on: Name of the curve.
        epoch: Position of the points.
        loss: Name of the training's loss: tells how targets are to be read.
        criterion: From outputs and targets to the mean loss; None where it is not known.
        from_logits: Whether outputs are logits.
    """
    curves = Curves()
    for batch in batches:
        with torch.no_grad():
            outputs = forward(batch)
        targets = targets_in(batch, len(outputs))
        if targets is None:
            return []
        targets = targets.to(outputs.device)
        value = criterion(outputs, targets) if criterion is not None else None
        curves.add(
            on, outputs, targets, encoding=encoding_of(targets, outputs, loss), loss=value,
            from_logits=from_logits,
        )  # fmt: skip
    curves.close(on, epoch)
    return curves.points


def same_twice(data: Any) -> bool | None:
    """Return whether a data set gives the same image twice; None where that cannot be told."""
    try:
        count = min(len(data), _TWICE)
        pairs = [(images_in(data[i]), images_in(data[i])) for i in range(count)]
    except Exception:  # noqa: BLE001 - a data set of anyone's may raise anything.
        return None
    tensors = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not tensors:
        return None
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in tensors)


def parts_of(loaders: dict[Part, Any]) -> list[tuple[Part, Part]]:
    """Return all pairs of parts that may share images, the training part first."""
    known: list[Part] = [part for part in ("train", "validation", "test") if part in loaders]
    return [(a, b) for i, a in enumerate(known) for b in known[i + 1 :]]
