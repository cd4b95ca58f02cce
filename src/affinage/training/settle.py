"""Settings at `auto` become numbers, measured on this machine and these images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.training.batch_search import find_batch_size, scaled_rate
from affinage.training.feeding import Targets
from affinage.training.losses import Objective
from affinage.training.range_test import find_learning_rate
from affinage.training.timing import changed, step_seconds

FASTER = 1.1
"""How many times faster fewer bits must be before they are preferred to fp32."""

STEPS = 4
IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A recipe without `auto`.

    Attributes:
        recipe: With the choices in it; store this one, so that the run can be repeated.
        reasons: A sentence for each choice.
    """

    recipe: Recipe
    reasons: tuple[str, ...]


def is_settled(recipe: Recipe) -> bool:
    """Return whether nothing of a training is left at `auto`."""
    choices = (recipe.compute.precision, recipe.finetune.batch_size, recipe.optimizer.lr)
    return "auto" not in choices


def settle(
    model: Classifier,
    items: Sequence[Item],
    targets: Targets,
    *,
    objective: Objective,
    recipe: Recipe,
    device: torch.device,
    threads: int,
) -> Settled:
    """Return the recipe with precision, batch size and learning rate settled, in this order.

    The precision is the fastest that trains (fp16 on accelerators only); the batch size the largest
    that fits and pays (`find_batch_size`), the learning rate scaled to it (`scaled_rate`); `lr` at
    `auto` is found by a range test at that batch size. The model is left as it is, bit for bit.

    Args:
        model: As the training will find it, on `device`.
        items: Training images.
        targets: Of each, as the objective takes them.
        objective: What is made small.
        recipe: What is not at `auto` in it stays.
        device: Where to compute.
        threads: Threads that decode and augment ahead.
    """
    reasons = []
    if recipe.compute.precision == "auto":
        recipe, reason = _with_precision(model, items, targets, objective, recipe, device, threads)
        reasons.append(reason)
    if recipe.finetune.batch_size == "auto":
        search = find_batch_size(
            model, items, targets, objective=objective, recipe=recipe, device=device,
            threads=threads,
        )  # fmt: skip
        rate = scaled_rate(recipe.optimizer, search.chosen)
        reasons.append(f"finetune.batch_size is {search.rule}.")
        if rate != recipe.optimizer.lr:
            reasons.append(
                f"optimizer.lr={recipe.optimizer.lr:g} is meant for 32 images per step; for "
                f"{search.chosen} it is {rate:g}."
            )
        recipe = changed(recipe, "finetune", batch_size=search.chosen)
        recipe = changed(recipe, "optimizer", lr=rate)
    if recipe.optimizer.lr == "auto":
        test = find_learning_rate(
            model, items, targets, objective=objective, recipe=recipe, device=device,
            threads=threads,
        )  # fmt: skip
        reasons.append(f"optimizer.lr is {test.chosen:g}: {test.rule}.")
        recipe = changed(recipe, "optimizer", lr=test.chosen)
    return Settled(recipe=recipe, reasons=tuple(reasons))


def _with_precision(
    model: Classifier,
    items: Sequence[Item],
    targets: Targets,
    objective: Objective,
    recipe: Recipe,
    device: torch.device,
    threads: int,
) -> tuple[Recipe, str]:
    names = ("fp32", "bf16") if device.type == "cpu" else ("fp32", "bf16", "fp16")
    seconds = {
        name: _seconds(
            model, items, targets, objective, changed(recipe, "compute", precision=name), device, threads
        )
        for name in names
    }  # fmt: skip
    fastest = min(seconds, key=lambda name: seconds[name])
    if seconds["fp32"] < FASTER * seconds[fastest]:
        fastest = "fp32"
    told = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    settled = changed(recipe, "compute", precision=fastest)
    return settled, f"compute.precision is {fastest}: a step took {told}."


def _seconds(
    model: Classifier,
    items: Sequence[Item],
    targets: Targets,
    objective: Objective,
    recipe: Recipe,
    device: torch.device,
    threads: int,
) -> float:
    """Return how long a step takes in some precision; infinity where the device has no such numbers."""
    try:
        times = step_seconds(
            model, items, targets, objective=objective, recipe=recipe, device=device,
            threads=threads, images=IMAGES, steps=STEPS,
        )  # fmt: skip
    except (RuntimeError, NotImplementedError):
        return float("inf")
    return float(times[1:].min())
