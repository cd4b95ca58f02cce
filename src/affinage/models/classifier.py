"""Classifier: preprocessing, backbone and linear head as one module, so that they cannot part."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from affinage.records.preprocessing import Preprocessing


class Classifier(nn.Module):
    """From a batch of uint8 pixels to one logit per class.

    Attributes:
        backbone: A timm model without its own classifier: images → features.
        head: A linear layer: features → logits.
        drop: Dropout between them, active in training mode only.
    """

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing,
        *,
        features: int,
        classes: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)
        self.preprocessing = preprocessing
        nn.init.zeros_(self.head.weight)  # The first loss is then ln(classes): the random guess.
        nn.init.zeros_(self.head.bias)
        mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1) * 255.0
        std = torch.tensor(preprocessing.std).view(1, 3, 1, 1) * 255.0
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Return what the backbone sees of uint8 images of shape (n, height, width, 3)."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        channels_first = images.permute(0, 3, 1, 2)  # A view: the memory stays channels-last.
        return (channels_first.to(mean.dtype) - mean) / std

    def features(self, images: Tensor) -> Tensor:
        """Return pooled features, shape (n, features), of uint8 images (n, height, width, 3)."""
        features: Tensor = self.backbone(self.normalise(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (n, classes), of uint8 images (n, height, width, 3)."""
        logits: Tensor = self.head(self.drop(self.features(images)))
        return logits


def batchnorms(module: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Yield every layer that keeps running statistics of batches."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            yield layer
