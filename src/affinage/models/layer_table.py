"""The table of a network's layers, from a trace and from what of it is trained."""

from collections.abc import Mapping
from typing import Literal

from torch import nn

from affinage.models.classifier import Classifier
from affinage.models.freeze import BatchNormMode, LayerGroup, set_modes, set_trainable
from affinage.models.receptive_field import WHOLE, Part
from affinage.models.tracing import Traced, trace
from affinage.records.layers import Layer


def layer_rows(
    model: Classifier,
    groups: tuple[LayerGroup, ...],
    *,
    batchnorm: BatchNormMode,
    rates: Mapping[str, float],
    lr: float | None,
) -> tuple[Layer, ...]:
    """Return every layer of a model, in the order of their work.

    Args:
        model: Of no use afterwards: its numbers are thrown away.
        groups: Its layer groups.
        batchnorm: How fine-tuning treats statistics.
        rates: Highest learning rate by the name of each trained weight, as a share of `lr`.
        lr: Highest learning rate; None where it is still to be found.
    """
    set_trainable(model, groups)
    set_modes(model, batchnorm=batchnorm)
    adapting = {
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training
    }
    group_of = {name: group.depth for group in groups for name in group.names}
    size = model.preprocessing
    return tuple(
        _layer(
            row,
            group_of=group_of,
            norm=batchnorm if row.name in adapting else "frozen",
            rates=rates,
            lr=lr,
        )
        for row in trace(model, height=size.height, width=size.width)
    )


def _layer(
    row: Traced,
    *,
    group_of: Mapping[str, int],
    norm: BatchNormMode,
    rates: Mapping[str, float],
    lr: float | None,
) -> Layer:
    own = dict(row.module.named_parameters(recurse=False))
    names = [f"{row.name}.{name}" if row.name else name for name in own]
    rate = next((rates[name] for name in names if name in rates), None)
    part = row.sees if isinstance(row.sees, Part) else None
    keeps = isinstance(row.module, nn.modules.batchnorm._BatchNorm)
    return Layer(
        name=row.name or "whitening",
        kind=type(row.module).__name__,
        output=row.output,
        weights=sum(weight.numel() for weight in own.values()),
        multiply_adds=row.multiply_adds,
        sees=_sees(row),
        receptive_field=(part.y.size, part.x.size) if part else None,
        stride=(part.y.jump, part.x.jump) if part else None,
        group=next((group_of[name] for name in names if name in group_of), None),
        trained=any(weight.requires_grad for weight in own.values()) if own else None,
        batchnorm=norm if keeps else None,
        rate=rate,
        learning_rate=rate * lr if rate is not None and lr is not None else None,
    )


def _sees(row: Traced) -> Literal["part", "whole", "unknown"]:
    if isinstance(row.sees, Part):
        return "part"
    return "whole" if row.sees == WHOLE else "unknown"
