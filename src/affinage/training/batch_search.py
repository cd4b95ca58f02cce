"""The largest batch that fits and still speeds training up; found without running out of memory."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.settings.optimizer import WITHOUT_BETAS, OptimizerSettings
from affinage.training.memory import USABLE, bytes_per_image, free_bytes
from affinage.training.timing import step_seconds
from affinage.training.trial import Trial

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
REFERENCE = 32
"""The batch size that `optimizer.lr` is meant for where the batch size is found here."""

GAIN = 1.1
"""How many times faster than the size before a size must be, in images per second."""

STEPS_PER_EPOCH = 8
"""A batch that leaves fewer steps in an epoch is not tried: too few steps learn little."""

STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSearch:
    """What a search for a batch size showed.

    Attributes:
        speeds: (images per step, images per second) of each size that was tried.
        bytes_per_image: Memory that a step needs for each image.
        chosen: Images per step.
        rule: Why this one, in words.
    """

    speeds: tuple[tuple[int, float], ...]
    bytes_per_image: float
    chosen: int
    rule: str


def find_batch_size(trial: Trial) -> BatchSearch:
    """Return the largest batch size that fits and still speeds training up; the model stays as it is.

    Sizes are doubled from 8. What each needs is told beforehand by what a step of a few images keeps,
    so none is tried that might not fit into half of the free memory, or that leaves fewer than 8 steps
    in an epoch. The first that is not a tenth faster than the one before ends the search.

    Args:
        trial: What is tried. The recipe's batch size is not used, its learning rate only where it is a
            number.
    """
    model, recipe, images = copy.deepcopy(trial.model), trial.recipe, len(trial.items)
    set_trainable(model, layer_groups(model, unfreeze=recipe.finetune.unfreeze))
    weight = bytes_per_image(model, recipe, trial.device) / recipe.optimizer.accumulate
    room = free_bytes(trial.device) * USABLE
    speeds: list[tuple[int, float]] = []
    why = f"{SIZES[-1]} is the largest that is tried"
    for size in SIZES:
        if speeds and size * STEPS_PER_EPOCH > images:
            why = f"{size} would leave fewer than {STEPS_PER_EPOCH} steps in an epoch"
            break
        if speeds and size * weight > room:
            why = f"{size} would need {size * weight / 2**30:.1f} GiB of {room / 2**30:.1f} usable"
            break
        times = step_seconds(trial, images=size, steps=STEPS)
        speeds.append((size, min(size, images) / float(times[1:].min())))
        before, now = speeds[-2][1] if len(speeds) > 1 else 0.0, speeds[-1][1]
        if now < GAIN * before:
            why = f"{size} learns from {now:.3g} images/s, not a tenth more than {before:.3g}"
            return _found(speeds, speeds[-2][0], weight, why)
    return _found(speeds, speeds[-1][0], weight, why)


def scaled_rate(settings: OptimizerSettings, batch_size: int) -> float | str:
    """Return the learning rate for a batch size that was found, from the one that 32 images want.

    It grows with the batch for optimizers that step along the gradient (Goyal et al., Accurate, Large
    Minibatch SGD, 2017) and with its square root for those that divide by its size (Malladi et al., On
    the SDEs and Scaling Rules for Adaptive Gradient Algorithms, 2022). `auto` stays `auto`.
    """
    if settings.lr == "auto":
        return settings.lr
    ratio = batch_size / REFERENCE
    power = 1.0 if settings.name in WITHOUT_BETAS and settings.name != "adagrad" else 0.5
    return min(10.0, float(f"{settings.lr * ratio**power:.3g}"))


def _found(
    speeds: Sequence[tuple[int, float]], chosen: int, weight: float, why: str
) -> BatchSearch:
    return BatchSearch(
        speeds=tuple(speeds), bytes_per_image=weight, chosen=chosen, rule=f"{chosen}, since {why}"
    )
