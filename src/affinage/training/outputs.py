"""What makes predictions of the raw numbers of the last layer."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from affinage.records.pairings import OutputName

LARGEST_LOG = 12.0
"""From e^12 = 162,755 on, `exp` goes on as a straight line: no gradient is ever infinite."""

SMALLEST = 1e-6
"""Least mean count and least probability that a logarithm is taken of."""

Output = Callable[[Tensor, Tensor], Tensor]


def bounded_exp(raw: Tensor) -> Tensor:
    """Return e^raw, continued as its tangent above `LARGEST_LOG`; smooth, convex, rising."""
    inner = raw.clamp(max=LARGEST_LOG)
    return torch.exp(inner) + math.exp(LARGEST_LOG) * (raw - inner)


def log_softplus(raw: Tensor) -> Tensor:
    """Return ln(ln(1 + e^raw)), which is `raw` itself where that is very low."""
    low = raw < -15
    return torch.where(low, raw, functional.softplus(raw.masked_fill(low, 0.0)).log())


OUTPUTS: dict[OutputName, Output] = {
    "linear": lambda raw, _: raw,
    "relu": lambda raw, _: raw.relu(),
    "softplus": lambda raw, _: functional.softplus(raw),
    "exp": lambda raw, _: bounded_exp(raw),
    "sigmoid": lambda raw, _: raw.sigmoid(),
    "sigmoid_max": lambda raw, largest: raw.sigmoid() * largest,
    "softmax": lambda raw, _: raw.softmax(dim=1),
}
"""Each takes raw numbers, shape (n, K), and the largest count of each class, shape (K,)."""

_LOGS: dict[OutputName, Output] = {
    "exp": lambda raw, _: raw.clamp(max=LARGEST_LOG) + (raw - LARGEST_LOG).relu().log1p(),
    "softplus": lambda raw, _: log_softplus(raw),
    "sigmoid": lambda raw, _: functional.logsigmoid(raw),
    "sigmoid_max": lambda raw, largest: functional.logsigmoid(raw) + largest.log(),
    "softmax": lambda raw, _: raw.log_softmax(dim=1),
}


def log_of(name: OutputName, raw: Tensor, largest: Tensor) -> Tensor:
    """Return the logarithm of an output, in closed form where it is never 0.

    So a rate of e^-40 keeps its gradient. Elsewhere the output counts as 1e-6 at least.

    Args:
        name: The output.
        raw: Shape (n, K).
        largest: Largest count of each class, shape (K,).
    """
    if name in _LOGS:
        return _LOGS[name](raw, largest)
    return OUTPUTS[name](raw, largest).clamp(min=SMALLEST).log()
