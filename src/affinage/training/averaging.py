"""A moving average of the weights, which often judges better than the last ones do."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of all weights and statistics of a model.

    After step t it moves by 1 - min(decay, (1 + t) / (10 + t)) toward the model, so that it does not
    remember the start for long. Whatever does not move in the model does not move here, bit for bit.

    Source:
        Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; the rise of
        the decay as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.tensors = {name: t.detach().clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Move toward the model after step number `step`, counted from 1."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            own = self.tensors[name]
            if own.is_floating_point():
                own.lerp_(tensor, share)
            else:
                own.copy_(tensor)

    @contextlib.contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """Lend the average to the model, and give it its own weights back bit for bit."""
        before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        self.give(model)
        try:
            yield
        finally:
            _fill(model, before)

    def give(self, model: nn.Module) -> None:
        """Copy the average into the model."""
        _fill(model, self.tensors)


@torch.no_grad()
def _fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, tensor in model.state_dict().items():
        tensor.copy_(tensors[name])
