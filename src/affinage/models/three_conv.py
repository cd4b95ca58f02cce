"""three_conv: convolutions with pooling and a dense layer, to train from scratch."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from affinage.errors import ModelError
from affinage.models.heads import FlattenPool, numbers_of_a_channel
from affinage.records.networks import ThreeConvSettings


class ThreeConv(nn.Module):
    """Images (n, 3, height, width) → features (n, dense).

    Each block is a convolution that keeps the size, ReLU and 2 × 2 maximum pooling. With the default
    settings, 32 × 32 px and ten classes the network has 1,191,170 weights, the head's included.

    Attributes:
        num_features: Length of the features.
    """

    def __init__(
        self, settings: ThreeConvSettings, *, height: int, width: int, pool: nn.Module | None
    ) -> None:
        super().__init__()
        pixels = _after_pooling(settings, height, width)
        channels = (3, *settings.filters)
        self.blocks = nn.Sequential(*(_block(*pair, settings) for pair in pairwise(channels)))
        self.pool = pool or FlattenPool()
        flat = isinstance(self.pool, FlattenPool)
        length = pixels if flat else numbers_of_a_channel(self.pool)
        self.dense = nn.Linear(channels[-1] * length, settings.dense)
        self.activation = nn.ReLU(inplace=True)
        self.num_features = settings.dense
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return features of normalised images."""
        features: Tensor = self.activation(self.dense(self.pool(self.blocks(images))))
        return features

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - timm's.
        """Return which parameters share a learning rate, as timm's networks do."""
        return {"stem": r"^blocks\.0\.", "blocks": [(r"^blocks\.(\d+)", None), (r"^dense", (99,))]}


def _block(inputs: int, filters: int, settings: ThreeConvSettings) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(
        inputs,
        filters,
        settings.kernel,
        padding=settings.kernel // 2,
        bias=not settings.batch_norm,  # BatchNorm takes the mean away again.
    )
    if settings.batch_norm:
        layers["norm"] = nn.BatchNorm2d(filters)
    layers["activation"] = nn.ReLU(inplace=True)
    layers["shrink"] = nn.MaxPool2d(2)
    if settings.dropout:
        layers["drop"] = nn.Dropout2d(settings.dropout)
    return nn.Sequential(layers)


def _after_pooling(settings: ThreeConvSettings, height: int, width: int) -> int:
    """Return how many places are left of an image.

    Raises:
        ModelError: If there are none.
    """
    halvings = len(settings.filters)
    pixels = (height >> halvings) * (width >> halvings)
    if pixels:
        return pixels
    raise ModelError(
        f"Nothing is left of {width} × {height} px after {halvings} halvings.",
        remedy=f"Give model.width and model.height of at least {1 << halvings}, or fewer "
        "model.three_conv.filters.",
    )
