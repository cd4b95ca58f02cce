"""What of a model is trained: groups of layers from stem to head, and their modes."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from timm.models import group_parameters
from torch import nn

from affinage.errors import ModelError
from affinage.models.classifier import Classifier, batchnorms
from affinage.models.middle import MiddleMaps


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """Layers that share a learning rate.

    Attributes:
        depth: 0 is the stem; the largest depth is the head.
        names: Full names of its parameters within the classifier.
        trained: False where it is frozen.
    """

    depth: int
    names: tuple[str, ...]
    trained: bool


ADAPT_MOMENTUM = 0.1
"""Share of a batch in BatchNorm's running statistics when they adapt. Some backbones come with 0.01, with
which the statistics of evaluation lag hundreds of steps behind those that training normalises by."""

SHARE_BY_DEFAULT = 0.55
"""Of the blocks, those nearest the head: measured on photographs and microscope crops, training them
was as good as or better than training all, in 60 % of the time."""


def layer_groups(
    model: Classifier, *, unfreeze: int | Literal["all"] | None = "all"
) -> tuple[LayerGroup, ...]:
    """Return the model's layer groups from stem to head.

    Args:
        model: Backbone and head.
        unfreeze: How many of the backbone's last groups are trained, or `all`; None = about half. The
            head always is.

    Raises:
        ModelError: If there are not so many groups.
    """
    names = _grouped_names(model.backbone)
    total = len(names)
    trained = _blocks_to_train(unfreeze, total)
    if trained > total:
        raise ModelError(
            f"finetune.unfreeze={trained}, but the backbone has only {total} blocks.",
            remedy=f"Give a number from 0 to {total}, or all.",
        )
    first = total - trained
    groups = [
        LayerGroup(
            depth=depth,
            names=tuple(f"backbone.{name}" for name in members),
            trained=depth >= first,
        )
        for depth, members in enumerate(names)
    ]
    head = tuple(f"head.{name}" for name, _ in model.head.named_parameters())
    return (*groups, LayerGroup(depth=total, names=head, trained=True))


def thawed(groups: tuple[LayerGroup, ...], blocks: int) -> tuple[LayerGroup, ...]:
    """Return the groups with no more than the last `blocks` blocks and the head trained.

    Source:
        Howard and Ruder, Universal Language Model Fine-tuning, 2018, section 3.3 (gradual unfreezing).
    """
    first = groups[-1].depth - blocks
    return tuple(
        dataclasses.replace(group, trained=group.trained and group.depth >= first)
        for group in groups
    )


def _blocks_to_train(unfreeze: int | Literal["all"] | None, total: int) -> int:
    if unfreeze is None:
        return round(SHARE_BY_DEFAULT * total)
    return total if unfreeze == "all" else unfreeze


def set_trainable(model: Classifier, groups: tuple[LayerGroup, ...]) -> None:
    """Let gradients flow into the trained groups only."""
    trained = {name for group in groups if group.trained for name in group.names}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


BatchNormMode = Literal["frozen", "adapt", "recompute"]


def set_modes(model: Classifier, *, batchnorm: BatchNormMode) -> None:
    """Put every layer in the mode that a training step needs.

    A layer with a parameter that is trained goes into training mode (dropout, stochastic depth); one
    that is frozen stays in evaluation mode. BatchNorm normalises by its stored statistics and keeps
    them, unless `batchnorm` is `adapt` or `recompute` and its own weights are trained.
    """
    model.eval()
    model.drop.train()
    model.head.train()
    for module in model.backbone.modules():
        own = list(module.parameters())
        if own and all(parameter.requires_grad for parameter in own):
            module.train()
    if all(parameter.requires_grad for parameter in model.backbone.parameters()):
        model.backbone.train()
    for layer in batchnorms(model):
        adapts = _adapts(layer, batchnorm)
        layer.train(adapts)
        if adapts:
            layer.momentum = ADAPT_MOMENTUM


class Modes:
    """The modes that `set_modes` chose, put back in microseconds at every step.

    Valid as long as the same parameters are trained.
    """

    def __init__(self, model: Classifier, *, batchnorm: BatchNormMode) -> None:
        """Choose and set the modes."""
        set_modes(model, batchnorm=batchnorm)
        self._chosen = [(module, module.training) for module in model.modules()]

    def restore(self) -> None:
        """Undo what an evaluation changed."""
        for module, training in self._chosen:
            if module.training is not training:
                module.training = training


def _adapts(layer: nn.Module, batchnorm: BatchNormMode) -> bool:
    return batchnorm != "frozen" and any(p.requires_grad for p in layer.parameters())


def frozen_state(model: Classifier, *, batchnorm: BatchNormMode) -> dict[str, torch.Tensor]:
    """Return copies of everything that training must not move: frozen weights and statistics."""
    kept = {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
    }
    for prefix, layer in model.named_modules():
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            continue
        if not _adapts(layer, batchnorm):
            kept |= {
                f"{prefix}.{name}": buffer.detach().clone()
                for name, buffer in layer.named_buffers()
            }
    return kept


def _grouped_names(backbone: nn.Module) -> list[list[str]]:
    """Return the backbone's parameter names by depth, stem first, as timm groups its layers."""
    if isinstance(backbone, MiddleMaps):
        return [[f"network.{name}" for name in names] for names in _grouped_names(backbone.network)]
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        return [[name for name, _ in backbone.named_parameters()]]
    grouped = group_parameters(backbone, matcher(coarse=False))
    depths = sorted(grouped)
    return [grouped[depth] for depth in depths]
