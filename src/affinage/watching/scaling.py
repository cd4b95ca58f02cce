"""Bring images from the scale in which they came to that of the backbone, or to the unit's."""

from collections.abc import Callable

import torch
from torch import Tensor

from affinage.records.signals import Signals


def own_scale(signals: Signals) -> Callable[[Tensor], Tensor] | None:
    """Return a function of a batch, shape (n, channels, ...); None where the scale cannot be told."""
    seen = next((i for i in signals.inputs or () if i.part == "train"), None)
    expected = signals.expected
    if seen is None or expected is None or len(expected.mean) != len(seen.mean):
        return None
    low, width = _usual(seen.minimum, seen.maximum)
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (expected.mean, expected.std))

    def scale(images: Tensor) -> Tensor:
        whole = (images - low) / width
        return 255 * whole if expected.inside else (whole - mean) / std

    return scale


def unit_scale(signals: Signals) -> Callable[[Tensor], Tensor] | None:
    """Return a function that brings a batch to mean 0 and spread 1, as a whole; None where none was seen."""
    seen = next((i for i in signals.inputs or () if i.part == "train"), None)
    if seen is None:
        return None
    middle = sum(seen.mean) / len(seen.mean)
    squares = [s**2 + m**2 for m, s in zip(seen.mean, seen.std, strict=True)]
    spread = max(sum(squares) / len(squares) - middle**2, 0.0) ** 0.5
    return (lambda images: (images - middle) / spread) if spread else None


def _usual(minimum: float, maximum: float) -> tuple[float, float]:
    """Return the lower end and the width of the usual range nearest to what was seen."""
    usual = ((0.0, 255.0), (0.0, 1.0), (-1.0, 2.0))
    return min(usual, key=lambda r: abs(r[0] - minimum) / r[1] + abs(r[0] + r[1] - maximum) / r[1])
