"""What images looked like when they reached the network's first layer."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from affinage.records.training_facts import InputFacts, Part

IMAGES = 16
"""Of a batch, that are looked at."""


@dataclass(slots=True)
class InputTally:
    """Images of one part, as sums over those that were looked at."""

    part: Part
    n: int = 0
    shape: tuple[int, ...] = ()
    minimum: float = np.inf
    maximum: float = -np.inf
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    pixels: int = 0
    constant: int = 0
    repeated: int = 0
    same_twice: bool | None = None
    _seen: set[bytes] = field(default_factory=set)
    _epoch: int = -1

    def add(self, images: Tensor, *, completed: int) -> None:
        """Count a batch, shape (n, channels, ...), in the epoch after so many completed ones."""
        if completed != self._epoch:
            self._seen, self._epoch = set(), completed
        images = images[:, None] if images.ndim == 2 else images  # Rows of numbers: one channel.
        chosen = images.detach()[:IMAGES].float().cpu().numpy()
        flat = chosen.reshape(len(chosen), chosen.shape[1], -1).astype(np.float64)
        if not np.isfinite(flat).all() or not flat.size:
            return
        if self.sums.shape != (flat.shape[1],):  # The first batch, or another number of channels.
            self.sums, self.squares = np.zeros((2, flat.shape[1]))
            self.pixels = self.n = 0
        self._sum(flat)
        self.shape = tuple(images.shape[1:])
        self.constant += int((np.ptp(flat, axis=(1, 2)) == 0).sum())
        for image in chosen:
            mark = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
            self.repeated += mark in self._seen
            self._seen.add(mark)

    def _sum(self, flat: NDArray[np.float64]) -> None:
        self.n += len(flat)
        self.sums = self.sums + flat.sum(axis=(0, 2))
        self.squares = self.squares + (flat**2).sum(axis=(0, 2))
        self.pixels += flat.shape[0] * flat.shape[2]
        self.minimum = min(self.minimum, float(flat.min()))
        self.maximum = max(self.maximum, float(flat.max()))

    def facts(self) -> InputFacts | None:
        """Return what was seen; None where nothing was."""
        if not self.n:
            return None
        mean = self.sums / self.pixels
        std = np.sqrt(np.maximum(self.squares / self.pixels - mean**2, 0))
        return InputFacts(
            part=self.part,
            n=self.n,
            shape=self.shape,
            minimum=self.minimum,
            maximum=self.maximum,
            mean=tuple(map(float, mean)),
            std=tuple(map(float, std)),
            constant_images=self.constant,
            repeated_images=self.repeated,
            same_twice=self.same_twice,
        )
