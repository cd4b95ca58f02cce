"""What every engine is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affinage.models.classifier import Classifier

Pass = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a full batch of pixels (batch, height, width, 3) to features (batch, length)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A frozen backbone and the batches that it will see.

    Attributes:
        model: In evaluation mode; its head is not used.
        device: Where it is.
        batch_size: Of every batch, exactly.
        threads: To compute with.
    """

    model: Classifier
    device: torch.device
    batch_size: int
    threads: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of every batch of pixels."""
        kind = self.model.preprocessing
        return self.batch_size, kind.height, kind.width, 3

    def example(self) -> Tensor:
        """Return a batch of grey pixels."""
        return torch.full(self.shape, 127, dtype=torch.uint8, device=self.device)

    def module(self) -> nn.Module:
        """Return the backbone, its preprocessing and its pooling as a module of their own."""
        return _Features(self.model).eval()


class _Features(nn.Module):
    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.features(images)
