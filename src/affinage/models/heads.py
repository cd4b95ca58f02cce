"""Heads: how a backbone's maps become one vector, and a vector becomes outputs."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from affinage.errors import ModelError
from affinage.records.networks import HeadSettings

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "prelu": nn.PReLU,
}


class AveragePool(nn.Module):
    """The mean over all places of maps, shape (n, channels, height, width) → (n, channels)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the vectors of maps."""
        return maps.mean(dim=(2, 3))


class MaximumPool(nn.Module):
    """The maximum over all places of maps, shape (n, channels, height, width) → (n, channels)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the vectors of maps."""
        return maps.amax(dim=(2, 3))


class GeneralisedMeanPool(nn.Module):
    """The mean of powers: (mean of x^p)^(1/p) over all places, per channel.

    p = 1 is the mean; the larger p is, the nearer it comes to the maximum. Values below 1e-6 count
    as 1e-6: powers want them positive. p is a setting and is not trained, so that the features are
    the same in every stage.

    Source:
        Radenović et al., Fine-tuning CNN Image Retrieval with No Human Annotation, 2018, equation 3.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, maps: Tensor) -> Tensor:
        """Return the vectors of maps."""
        clamped = maps.clamp(min=1e-6)
        largest = clamped.amax(dim=(2, 3), keepdim=True)  # Divided out: x^20 overflows.
        powers = (clamped / largest).pow(self.power).mean(dim=(2, 3))
        return largest.flatten(1) * powers.pow(1 / self.power)


class MeanDeviationPool(nn.Module):
    """Mean and deviation over all places: (n, channels, height, width) → (n, 2 * channels).

    How much a map varies from place to place tells how many things stand in it, which the mean of
    one that is crowded here and empty there does not.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return the vectors of maps, the means first."""
        variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0)
        # Not at 0, where a root has no slope: a constant channel would give gradients of NaN.
        return torch.cat([mean, (variance + 1e-6).sqrt()], dim=1)


class FlattenPool(nn.Module):
    """All places of all channels one after the other: (n, channels * height * width)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the vectors of maps."""
        return maps.contiguous().flatten(1)


class MapsOf(nn.Module):
    """Whatever a backbone gives, as maps of shape (n, channels, height, width).

    Tokens become maps of height 1 without the tokens that stand for no place; channels that come
    last are put second.
    """

    def __init__(self, pool: nn.Module, *, channels: int, prefix_tokens: int = 0) -> None:
        super().__init__()
        self.pool = pool
        self.channels = channels
        self.prefix_tokens = prefix_tokens

    def forward(self, output: Tensor) -> Tensor:
        """Return the pooled vectors of a backbone's unpooled output."""
        if output.ndim == 3:
            output = output[:, self.prefix_tokens :].transpose(1, 2).unsqueeze(2)
        elif output.shape[1] != self.channels:
            output = output.permute(0, 3, 1, 2)
        pooled: Tensor = self.pool(output)
        return pooled


class HiddenHead(nn.Sequential):
    """Hidden layers with activation and dropout, then a linear layer."""

    in_features: int

    def __init__(self, features: int, outputs: int, settings: HeadSettings) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        width = features
        for number, units in enumerate(settings.hidden, start=1):
            layers[f"hidden{number}"] = nn.Linear(width, units, bias=settings.bias)
            layers[f"activation{number}"] = ACTIVATIONS[settings.activation]()
            layers[f"dropout{number}"] = nn.Dropout(settings.dropout)
            width = units
        layers["last"] = nn.Linear(width, outputs, bias=settings.bias)
        super().__init__(layers)
        self.in_features = features


def make_pool(settings: HeadSettings) -> nn.Module | None:
    """Return what pools maps (n, channels, height, width); None where the backbone does it."""
    match settings.pooling:
        case "backbone":
            return None
        case "avg":
            return AveragePool()
        case "max":
            return MaximumPool()
        case "gem":
            return GeneralisedMeanPool(settings.gem_power)
        case "mean_deviation":
            return MeanDeviationPool()
        case "flatten":
            return FlattenPool()


def numbers_of_a_channel(pool: nn.Module) -> int:
    """Return how many numbers a pool makes of one map, whatever its size."""
    return 2 if isinstance(pool, MeanDeviationPool) else 1


def make_head(features: int, outputs: int, settings: HeadSettings) -> nn.Linear | HiddenHead:
    """Return a head whose last layer is zero: its first outputs are 0 for every image.

    With softmax the first loss is then ln(classes), the random guess.

    Raises:
        ModelError: If there is nothing to give.
    """
    if outputs < 1:
        raise ModelError(
            f"A head cannot have {outputs} outputs.", remedy="Name at least one class."
        )
    if not settings.hidden:
        head = nn.Linear(features, outputs, bias=settings.bias)
        _zero(head)
        return head
    hidden = HiddenHead(features, outputs, settings)
    _zero(last_layer(hidden))
    return hidden


def last_layer(head: nn.Module) -> nn.Linear:
    """Return the linear layer that gives the outputs."""
    layer = head if isinstance(head, nn.Linear) else head.get_submodule("last")
    assert isinstance(layer, nn.Linear)
    return layer


def _zero(layer: nn.Linear) -> None:
    with torch.no_grad():
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()
