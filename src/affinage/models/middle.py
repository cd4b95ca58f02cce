"""A backbone's maps from several depths, pooled side by side: what one depth alone does not know."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affinage.errors import ModelError

FITTING = "Set model.head.pooling=backbone, or choose a backbone such as tf_efficientnet_lite0."


class MiddleMaps(nn.Module):
    """Images → vectors (n, features) of the maps of several depths, the shallowest first.

    What comes after the deepest of them is cut off and costs nothing.

    Args:
        network: A timm backbone; it is cut in place.
        pool: Makes a vector of maps (n, channels, height, width); the same for every depth.
        layers: Depths counted from the last one, which is 1.
        name: Of the backbone, for people.

    Raises:
        ModelError: If the backbone does not give its inner maps, or has fewer depths.
    """

    def __init__(
        self, network: nn.Module, pool: nn.Module, *, layers: Sequence[int], name: str
    ) -> None:
        super().__init__()
        depths = len(getattr(network, "feature_info", ()))
        if not hasattr(network, "prune_intermediate_layers"):
            raise ModelError(f"'{name}' does not give the maps of its layers.", remedy=FITTING)
        if max(layers) > depths:
            raise ModelError(
                f"model.head.layers={','.join(map(str, layers))}, but '{name}' has {depths} depths "
                "of maps.",
                remedy=f"Give numbers from 1, the last, to {depths}.",
            )
        chosen = sorted(depths - layer for layer in layers)
        cut: Any = network
        self.indices: list[int] = list(
            cut.prune_intermediate_layers(chosen, prune_norm=True, prune_head=True)
        )
        self.network = network
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """Return the vectors of normalised images, shape (n, 3, height, width)."""
        network: Any = self.network
        maps: list[Tensor] = network.forward_intermediates(
            images, indices=self.indices, output_fmt="NCHW", intermediates_only=True
        )
        return torch.cat([self.pool(one) for one in maps], dim=1)
