"""mini_xception: a small Xception, described by settings, to train from scratch.

Source of the design:
    Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017, figure 5; the stem
    `inception` after Szegedy et al., Rethinking the Inception Architecture, 2016, figure 5.
"""

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from affinage.models.heads import ACTIVATIONS, AveragePool, numbers_of_a_channel
from affinage.records.networks import MiniXceptionSettings


class MiniXception(nn.Module):
    """Images (n, 3, height, width) → pooled features (n, filters of the exit).

    The stem halves the size. A module with other filters than the one before halves it again and has
    a convolution beside it; one with the same filters keeps the size and is skipped by its input.

    Attributes:
        num_features: Length of the features.
        halvings: How often the size is halved, rounded up, before the pooling.
    """

    def __init__(self, settings: MiniXceptionSettings, *, pool: nn.Module | None) -> None:
        super().__init__()
        stem, *chain, leave = settings.filters
        filters = [stem, *(chain[min(i, len(chain) - 1)] for i in range(settings.modules))]
        make = _plain_stem if settings.stem == "plain" else _InceptionStem
        self.stem = make(stem, settings)
        self.blocks = nn.Sequential(*(_Residual(*pair, settings) for pair in pairwise(filters)))
        self.exit = _unit(filters[-1], leave, settings, kernel=settings.kernel)
        self.pool = pool or AveragePool()
        self.num_features = leave * numbers_of_a_channel(self.pool)
        self.halvings = 1 + sum(before != after for before, after in pairwise(filters))
        _initialise(self, settings.activation)

    def forward(self, images: Tensor) -> Tensor:
        """Return features of normalised images."""
        features: Tensor = self.pool(self.forward_features(images))
        return features

    def forward_features(self, images: Tensor) -> Tensor:
        """Return maps of normalised images, not pooled yet."""
        maps: Tensor = self.exit(self.blocks(self.stem(images)))
        return maps

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - timm's.
        """Return which parameters share a learning rate, as timm's networks do."""
        return {"stem": r"^stem", "blocks": [(r"^blocks\.(\d+)", None), (r"^exit", (99,))]}


class _Residual(nn.Module):
    """Two convolutions, and the input added to what they give."""

    def __init__(self, inputs: int, filters: int, settings: MiniXceptionSettings) -> None:
        super().__init__()
        kernel, shrinks = settings.kernel, inputs != filters
        self.first = _unit(inputs, filters, settings, kernel=kernel)
        self.second = _unit(filters, filters, settings, kernel=kernel, activated=False)
        self.shrink = nn.MaxPool2d(3, stride=2, padding=1) if shrinks else nn.Identity()
        self.skip: nn.Module = nn.Identity()
        if shrinks:
            self.skip = _unit(
                inputs, filters, settings, kernel=1, stride=2, activated=False, separable=False
            )
        self.activation = ACTIVATIONS[settings.activation]()

    def forward(self, maps: Tensor) -> Tensor:
        added: Tensor = self.shrink(self.second(self.first(maps))) + self.skip(maps)
        activated: Tensor = self.activation(added)
        return activated


class _InceptionStem(nn.Module):
    """Branches of 1 × 1, 3 × 3, twice 3 × 3 and pooling, each halving the size, side by side."""

    def __init__(self, filters: int, settings: MiniXceptionSettings) -> None:
        super().__init__()
        share = max(1, filters // 4)
        last = max(1, filters - 3 * share)

        def unit(inputs: int, units: int, kernel: int, stride: int = 1) -> nn.Sequential:
            return _unit(inputs, units, settings, kernel=kernel, stride=stride, separable=False)

        self.one = unit(3, share, 1, 2)
        self.three = nn.Sequential(unit(3, share, 1), unit(share, share, 3, 2))
        self.five = nn.Sequential(
            unit(3, share, 1), unit(share, share, 3), unit(share, share, 3, 2)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), unit(3, last, 1))

    def forward(self, images: Tensor) -> Tensor:
        branches = (self.one, self.three, self.five, self.pooled)
        return torch.cat([branch(images) for branch in branches], dim=1)


def _plain_stem(filters: int, settings: MiniXceptionSettings) -> nn.Sequential:
    return _unit(3, filters, settings, kernel=3, stride=2, separable=False)


def _unit(
    inputs: int,
    filters: int,
    settings: MiniXceptionSettings,
    *,
    kernel: int,
    stride: int = 1,
    activated: bool = True,
    separable: bool | None = None,
) -> nn.Sequential:
    """Return a convolution with its norm and its activation; sizes are divided by the stride."""
    if separable is None:
        separable = settings.convolution == "separable"
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kernel > 1:  # An even kernel looks one pixel further right and down than left and up.
        before, after = (kernel - 1) // 2, kernel // 2
        if before != after:
            layers["pad"] = nn.ZeroPad2d((before, after, before, after))
    padding = 0 if "pad" in layers else kernel // 2
    if separable:
        layers["depthwise"] = nn.Conv2d(
            inputs, inputs, kernel, stride, padding, groups=inputs, bias=False
        )
        layers["pointwise"] = nn.Conv2d(inputs, filters, 1, bias=settings.bias)
    else:
        layers["conv"] = nn.Conv2d(inputs, filters, kernel, stride, padding, bias=settings.bias)
    if settings.batch_norm:
        layers["norm"] = nn.BatchNorm2d(filters)
    if activated:
        layers["activation"] = ACTIVATIONS[settings.activation]()
    return nn.Sequential(layers)


def _initialise(network: nn.Module, activation: str) -> None:
    """Draw weights so that the variance of a layer's outputs is that of its inputs.

    He et al., Delving Deep into Rectifiers, 2015, for ReLU and PReLU; for SELU, which normalises by
    itself, 1 / fan-in (Klambauer et al., Self-Normalizing Neural Networks, 2017).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            linear = activation == "selu" or module.groups > 1  # Nothing follows a depthwise one.
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if linear else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
