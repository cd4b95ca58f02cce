"""A user's part on trial, and what it is tried with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Task = Literal["classify", "multilabel", "count"]

IMAGES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A part, and what it is tried with.

    Attributes:
        part: The module or function.
        task: What is predicted.
        classes: How many classes or labels.
        outputs: Numbers that the head gives for an image.
        height: Of the images, pixels.
        width: Of the images, pixels.
    """

    part: Any
    task: Task
    classes: int
    outputs: int
    height: int
    width: int

    def images(self) -> Tensor:
        """Return normalised images, shape (n, 3, height, width)."""
        shape = (IMAGES, 3, self.height, self.width)
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def raw(self, scale: float = 1.0) -> Tensor:
        """Return raw outputs, shape (n, outputs), that gradients can reach."""
        generator = torch.Generator().manual_seed(1)
        return (scale * torch.randn((IMAGES, self.outputs), generator=generator)).requires_grad_()

    def targets(self) -> NDArray[Any]:
        """Return targets as the task has them."""
        if self.task == "classify":
            return np.arange(IMAGES, dtype=np.int64) % self.classes
        most = 2 if self.task == "multilabel" else 5
        table = np.random.default_rng(2).integers(0, most, (IMAGES, self.classes))
        return table.astype(np.float32)

    def predictions(self) -> NDArray[np.float64]:
        """Return probabilities or expected counts, shape (n, classes)."""
        table = np.random.default_rng(3).random((IMAGES, self.classes))
        return table / table.sum(axis=1, keepdims=True) if self.task == "classify" else table


Check = Callable[[Trial], str | None]
"""Returns what is wrong, or None; its docstring's first line is what holds."""
