"""The head without training: it knows images, and calls others by the most similar of each class."""

import torch
from torch import Tensor, nn

from affinage.heads.nearest import NearestHead


class NearestLayer(nn.Module):
    """Features (n, features) → largest cosine to a known image of each class (n, outputs).

    It has no weights that are trained: what it knows are buffers.

    Attributes:
        in_features: Length of the features.
        out_features: How many classes there are.
    """

    known: Tensor
    labels: Tensor

    def __init__(self, *, images: int, features: int, outputs: int) -> None:
        super().__init__()
        self.in_features, self.out_features = features, outputs
        self.register_buffer("known", torch.zeros((images, features)))
        self.register_buffer("labels", torch.zeros(images, dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """Return a cosine for each class; -1 for one without a known image."""
        similar = nn.functional.normalize(features, dim=1) @ self.known.T
        least = similar.new_full((len(features), self.out_features), -1.0)
        return least.scatter_reduce(1, self.labels.expand_as(similar), similar, "amax")


def nearest_layer(head: NearestHead) -> NearestLayer:
    """Return the layer that answers as the head does."""
    layer = NearestLayer(images=len(head.known), features=head.known.shape[1], outputs=head.classes)
    layer.known.copy_(torch.from_numpy(head.known))
    layer.labels.copy_(torch.from_numpy(head.labels))
    return layer
