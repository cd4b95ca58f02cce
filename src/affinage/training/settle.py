"""Settings at `auto` become numbers, measured on this machine and these images."""

from dataclasses import dataclass

import numpy as np

from affinage.records.recipe import Recipe
from affinage.training.batch_search import find_batch_size, scaled_rate
from affinage.training.range_test import find_learning_rate
from affinage.training.timing import changed, gradient_of, step_seconds
from affinage.training.trial import Trial

FASTER = 1.1
"""How many times faster fewer bits must be before they are preferred to fp32."""

AGREES = 0.95
"""Cosine with fp32's gradient on the same images from which fewer bits count as accurate: gradients of two
batches of one training agree far less with each other than that."""

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


def settle(trial: Trial) -> Settled:
    """Return the recipe with precision, batch size and learning rate settled, in this order.

    The precision is the fastest whose gradient agrees with fp32's on the same images (fp16 on
    accelerators only); the batch size the largest that fits and pays (`find_batch_size`), the learning
    rate scaled to it (`scaled_rate`); `lr` at `auto` is found by a range test at that batch size. The
    model is left as it is, bit for bit.

    Args:
        trial: What the training will be; what is not at `auto` in its recipe stays.
    """
    recipe, reasons = trial.recipe, []
    if recipe.compute.precision == "auto":
        recipe, reason = _with_precision(trial)
        reasons.append(reason)
    if recipe.finetune.batch_size == "auto":
        search = find_batch_size(trial.under(recipe))
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
        test = find_learning_rate(trial.under(recipe))
        reasons.append(f"optimizer.lr is {test.chosen:g}: {test.rule}.")
        recipe = changed(recipe, "optimizer", lr=test.chosen)
    return Settled(recipe=recipe, reasons=tuple(reasons))


def _with_precision(trial: Trial) -> tuple[Recipe, str]:
    names = ("fp32", "bf16") if trial.device.type == "cpu" else ("fp32", "bf16", "fp16")
    recipes = {name: changed(trial.recipe, "compute", precision=name) for name in names}
    seconds = {name: _seconds(trial.under(recipe)) for name, recipe in recipes.items()}
    told = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    chosen, compared = "fp32", []
    for name in sorted(seconds, key=lambda name: seconds[name]):
        if seconds["fp32"] < FASTER * seconds[name] or not np.isfinite(seconds[name]):
            break
        cosine = _agreement(trial.under(recipes["fp32"]), trial.under(recipes[name]))
        compared.append(f"{name} {cosine:.3f}")
        if cosine >= AGREES:
            chosen = name
            break
    beside = f"; cosine of its gradient with fp32's: {', '.join(compared)}" if compared else ""
    return recipes[chosen], f"compute.precision is {chosen}: a step took {told}{beside}."


def _agreement(exact: Trial, other: Trial) -> float:
    """Return the cosine of the gradients of two trainings on the same images; 0 where one is no number."""
    one, two = (gradient_of(trial, images=IMAGES) for trial in (exact, other))
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / size if np.isfinite(size) and size > 0 else 0.0


def _seconds(trial: Trial) -> float:
    """Return how long a step takes in some precision; infinity where the device has no such numbers."""
    try:
        times = step_seconds(trial, images=IMAGES, steps=STEPS)
    except (RuntimeError, NotImplementedError):
        return float("inf")
    return float(times[1:].min())
