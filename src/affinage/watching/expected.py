"""What a pretrained network wants to see, and whether it was trained before."""

from typing import Any

import torch
from torch import nn

from affinage.records.training_facts import Expected
from affinage.watching.layers import NORMS

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def expected_of(roots: dict[str, nn.Module]) -> Expected | None:
    """Return what the backbone among the networks was trained with; None where it is not known."""
    for module in (m for root in roots.values() for m in root.modules()):
        found = _by_config(module) or _by_library(module)
        if found is not None:
            return found
    return None


def _by_config(module: nn.Module) -> Expected | None:
    """Return what timm's networks say of themselves."""
    config: Any = getattr(module, "pretrained_cfg", None)
    if not isinstance(config, dict) or "mean" not in config:
        return None
    size = config.get("input_size")
    return Expected(
        backbone=str(config.get("architecture") or type(module).__name__),
        mean=tuple(map(float, config["mean"])),
        std=tuple(map(float, config["std"])),
        size=(int(size[1]), int(size[2])) if size else None,
        source="timm's pretrained_cfg",
    )


def _by_library(module: nn.Module) -> Expected | None:
    """Return what all of torchvision's classifiers were trained with."""
    if not type(module).__module__.startswith("torchvision.models."):
        return None
    children = dict(module.named_children())
    if not {"fc", "classifier", "head", "heads"} & set(children):
        return None
    return Expected(
        backbone=type(module).__name__,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        size=(224, 224),
        source="torchvision's weights for ImageNet",
        inside=bool(getattr(module, "transform_input", False)),
    )


def looks_pretrained(roots: dict[str, nn.Module]) -> bool | None:
    """Return whether normalisation layers have left their initial state; None where there are none.

    Must be asked before the first step.
    """
    norms = [m for root in roots.values() for m in root.modules() if _tells(m)]
    return any(_moved(norm) for norm in norms) if norms else None


def _tells(module: nn.Module) -> bool:
    kinds = (*_kinds(), nn.LayerNorm, nn.GroupNorm)
    return isinstance(module, kinds)


def _kinds() -> tuple[type, ...]:
    return (NORMS,)


def _moved(norm: Any) -> bool:
    variance = getattr(norm, "running_var", None)
    if variance is not None:
        return (
            bool((variance != 1).any()) and int(getattr(norm, "num_batches_tracked", 0) or 0) != 1
        )
    weight = getattr(norm, "weight", None)
    return weight is not None and len(torch.unique(weight.detach())) > 1
