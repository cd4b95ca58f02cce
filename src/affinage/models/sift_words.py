"""sift_words: the backbone of the classical baseline counts visual words, and has no weights."""

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affinage.heads.bag_of_words import CELLS, LENGTH, count_words


class SiftWords(nn.Module):
    """Images (n, 3, height, width) from 0 to 1 → square roots of words' shares (n, 5 × words).

    It is computed by OpenCV on the processor, and has no gradient.

    Attributes:
        words: The vocabulary, shape (words, 128): a buffer, so that it travels with the model.
        num_features: Length of the features.
    """

    words: Tensor

    def __init__(self, words: int) -> None:
        super().__init__()
        self.num_features = CELLS * words
        self.register_buffer("words", torch.zeros((words, LENGTH)))

    def learn(self, words: NDArray[np.float32]) -> None:
        """Take a vocabulary in, of no more words than there is room for.

        Where it is smaller, its first word fills the rest: of equals the first is counted, so the
        copies are never met.
        """
        room = len(self.words)
        full = np.concatenate([words, np.repeat(words[:1], room - len(words), axis=0)])
        self.words.copy_(torch.from_numpy(full))

    def forward(self, images: Tensor) -> Tensor:
        """Return how often each word occurs where."""
        if images.is_meta:  # The table of layers asks for shapes alone.
            return images.new_empty((len(images), self.num_features))
        pixels = images.detach().permute(0, 2, 3, 1).mul(255).round().clamp(0, 255)
        table = pixels.to("cpu", torch.uint8).contiguous().numpy()
        rows = count_words(
            lambda number: table[number],
            range(len(table)),
            self.words.cpu().numpy(),
            threads=os.cpu_count() or 1,
        )
        return torch.from_numpy(rows).to(images.device)
