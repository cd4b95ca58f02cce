"""The small networks that settings describe: how each is built and what it is shown by default."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from affinage.models.mini_xception import MiniXception
from affinage.models.sift_words import SiftWords
from affinage.models.three_conv import ThreeConv
from affinage.records.networks import MINI_XCEPTION, SIFT_WORDS, THREE_CONV, ModelSettings
from affinage.records.preprocessing import Preprocessing

Build = Callable[[ModelSettings, int, int, nn.Module | None], nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNetwork:
    """A network to train from scratch.

    Attributes:
        name: As in `model.backbone`.
        build: From settings, height and width of the input and a way to pool, to a module with
            `num_features` and `group_matcher`, as timm's have.
        size: Width and height of its input where the recipe gives none, pixels.
    """

    name: str
    build: Build
    size: int

    def preprocessing(self, *, width: int | None, height: int | None) -> Preprocessing:
        """Return what it is shown: all of the shorter side, values from 0 to 1, nothing else."""
        return Preprocessing(
            width=width or self.size,
            height=height or self.size,
            crop=1.0,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )


def _mini_xception(
    settings: ModelSettings, height: int, width: int, pool: nn.Module | None
) -> nn.Module:
    if pool is not None and settings.head.pooling == "flatten":
        return _flat(MiniXception(settings.mini_xception, pool=pool), height, width)
    return MiniXception(settings.mini_xception, pool=pool)


def _flat(network: MiniXception, height: int, width: int) -> MiniXception:
    for _ in range(network.halvings):
        height, width = -(-height // 2), -(-width // 2)
    network.num_features *= height * width
    return network


def _three_conv(
    settings: ModelSettings, height: int, width: int, pool: nn.Module | None
) -> nn.Module:
    return ThreeConv(settings.three_conv, height=height, width=width, pool=pool)


def _sift_words(
    settings: ModelSettings, _height: int, _width: int, _pool: nn.Module | None
) -> nn.Module:
    return SiftWords(settings.sift_words.words)


SMALL = (
    SmallNetwork(name=MINI_XCEPTION, build=_mini_xception, size=128),
    SmallNetwork(name=THREE_CONV, build=_three_conv, size=32),
)


WORDS = SmallNetwork(name=SIFT_WORDS, build=_sift_words, size=128)
"""Not trained: its vocabulary is learnt from the training part before the features are counted."""


def small_network(name: str) -> SmallNetwork | None:
    """Return the small network of this name, or the bag of words; None where timm has to know it."""
    return next((network for network in (*SMALL, WORDS) if network.name == name), None)
