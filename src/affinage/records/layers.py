"""Layers: what each of a network gives, weighs, costs and sees, and how it is trained."""

from dataclasses import dataclass
from typing import Literal

Sees = Literal["part", "whole", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that weighs, multiplies or changes the shape.

    Attributes:
        name: Full name within the model, such as `backbone.blocks.0.conv`.
        kind: Name of its class.
        output: Shape of what it gives for one image: channels, height, width; or tokens, channels.
            Empty where it is never used.
        weights: Its own weights.
        multiply_adds: For one image: of convolutions, linear layers and attention.
        sees: `part`: a place of its output depends on `receptive_field`; `whole`: on every pixel,
            by attention, squeeze-and-excitation or pooling; `unknown`: on windows that were not
            followed.
        receptive_field: Height and width of that part, pixels, edges not cut off; None unless `part`.
        stride: Pixels between the parts that two neighbours see, down and across; None unless `part`.
        group: Number of its layer group, 0 at the stem; None where it has no weights.
        trained: Whether fine-tuning changes its weights; None where it has none.
        batchnorm: How its statistics are treated: `frozen`, `adapt` or `recompute`; None where it has
            none.
        rate: Highest learning rate as a share of `optimizer.lr`; None where it is not trained.
        learning_rate: Highest learning rate; None where it is not trained, or still to be found.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    weights: int
    multiply_adds: int
    sees: Sees
    receptive_field: tuple[int, int] | None
    stride: tuple[int, int] | None
    group: int | None
    trained: bool | None
    batchnorm: Literal["frozen", "adapt", "recompute"] | None
    rate: float | None
    learning_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTable:
    """All layers of a recipe's network, in the order of their work.

    Attributes:
        backbone: Name of the backbone.
        width: Width of its input, pixels.
        height: Height of its input, pixels.
        classes: Number of classes that the head was built for.
        weights: All weights.
        trained_weights: Those that fine-tuning changes; the head's alone where it is not a stage.
        multiply_adds: For one image.
        groups: Number of layer groups, the head's included.
        trained_groups: How many of them are trained, the head's included.
        layers: One by one.
    """

    backbone: str
    width: int
    height: int
    classes: int
    weights: int
    trained_weights: int
    multiply_adds: int
    groups: int
    trained_groups: int
    layers: tuple[Layer, ...]
