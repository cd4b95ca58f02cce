"""Progressive resizing: small images first, with mild augmentation; both grow."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.records.settings.augment import AugmentSettings

_TURNED_ROUND = {"crop"}
"""Settings that are off at 1 and stronger the smaller they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A stretch of steps with one input size.

    Attributes:
        start: First step, from 0.
        stop: Step after the last one.
        preprocessing: With the size of this stretch.
        augment: With the strength of this stretch.
    """

    start: int
    stop: int
    preprocessing: Preprocessing
    augment: AugmentSettings


def rungs(recipe: Recipe, preprocessing: Preprocessing, steps: int) -> tuple[Rung, ...]:
    """Return the stretches of a training, in order; one where the size does not grow.

    The strength of augmentation rises evenly from `finetune.size_strength` to 1 (Tan and Le,
    EfficientNetV2, 2021, section 4: small images overfit less under weak augmentation).

    Args:
        recipe: Its `finetune.sizes`, `size_shares`, `size_strength` and `augment`.
        preprocessing: The model's own.
        steps: Of the whole training.
    """
    sizes = recipe.finetune.sizes
    if not sizes:
        return (Rung(start=0, stop=steps, preprocessing=preprocessing, augment=recipe.augment),)
    shares = recipe.finetune.size_shares or (1 / len(sizes),) * len(sizes)
    ends = [round(steps * sum(shares[: index + 1])) for index in range(len(sizes))]
    first = recipe.finetune.size_strength
    found = []
    for index, width in enumerate(sizes):
        share = index / (len(sizes) - 1) if len(sizes) > 1 else 1.0
        found.append(
            Rung(
                start=ends[index - 1] if index else 0,
                stop=ends[index] if index < len(sizes) - 1 else steps,
                preprocessing=resized(preprocessing, width),
                augment=weakened(recipe.augment, first + (1 - first) * share),
            )
        )
    return tuple(rung for rung in found if rung.stop > rung.start)


def resized(preprocessing: Preprocessing, width: int) -> Preprocessing:
    """Return the same preprocessing at another width, with its aspect."""
    height = max(1, round(width * preprocessing.height / preprocessing.width))
    return dataclasses.replace(preprocessing, width=width, height=height)


def weakened(settings: AugmentSettings, strength: float) -> AugmentSettings:
    """Return the settings with every number at a share of its strength; switches stay.

    Args:
        settings: At full strength.
        strength: From 0, all off, to 1, unchanged.
    """
    if strength == 1:
        return settings
    return settings.model_copy(update=dict(_strengths(settings, strength)))


def _strengths(settings: AugmentSettings, strength: float) -> Iterator[tuple[str, float]]:
    for name, value in settings:
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if name in _TURNED_ROUND:
            yield name, 1 - (1 - value) * strength
        else:
            yield (
                name,
                type(value)(
                    round(value * strength) if isinstance(value, int) else value * strength
                ),
            )


def check_sizes(model: Classifier, recipe: Recipe, device: torch.device) -> None:
    """Raise if the model cannot compute at one of the sizes.

    Raises:
        ModelError: With the size that it refused.
    """
    for width in recipe.finetune.sizes or ():
        size = resized(model.preprocessing, width)
        blank = torch.zeros((1, size.height, size.width, 3), dtype=torch.uint8, device=device)
        model.eval()
        try:
            with torch.inference_mode():
                model(blank)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ModelError(
                f"The model cannot compute at {size.width} × {size.height} px (finetune.sizes): "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}",
                remedy="Leave finetune.sizes out, or choose a backbone that pools its maps before the "
                "head, as convolutional ones of timm and mini_xception do; three_conv and "
                "model.head.pooling=flatten want one size.",
            ) from None
