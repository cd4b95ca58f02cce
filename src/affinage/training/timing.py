"""How long training steps take here, tried on a copy of the model."""

import copy
import time

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.imaging.batches import prepared_batches
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.records.recipe import Recipe
from affinage.training.feeding import whole_targets
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan
from affinage.training.precision import autocast
from affinage.training.trial import Trial

GENTLE = 1e-6


def changed(recipe: Recipe, section: str, **settings: object) -> Recipe:
    """Return a recipe with some settings of a section replaced."""
    other = getattr(recipe, section).model_copy(update=settings)
    return recipe.model_copy(update={section: other})


def for_trial(recipe: Recipe, *, lr: float) -> Recipe:
    """Return the recipe of a few steps: a number for `lr`, and nothing that unfolds over epochs."""
    plain = changed(recipe, "optimizer", lr=lr)
    return changed(plain, "finetune", gradual=None, sizes=None)


def step_seconds(trial: Trial, *, images: int, steps: int) -> NDArray[np.float64]:
    """Return how long each of some steps took; the first one includes getting started.

    Args:
        trial: What is trained, on a copy of its model; the precision must be a name.
        images: Per step.
        steps: How many.
    """
    model, recipe = copy.deepcopy(trial.model), for_trial(trial.recipe, lr=GENTLE)
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    set_trainable(model, groups)
    optimizer = build_optimizer(
        model, groups, recipe.optimizer, layer_decay=recipe.finetune.layer_decay
    )
    plan = Plan(steps=steps, steps_per_epoch=max(1, -(-len(trial.items) // images)))
    times = [time.perf_counter()]
    with torch.random.fork_rng():
        for step in training_steps(
            model, optimizer, trial.items, trial.targets, objective=trial.objective, recipe=recipe,
            plan=plan, device=trial.device, threads=trial.threads, phase="timing",
            rate=lambda _: GENTLE,
        ):  # fmt: skip
            float(step.loss)  # Waits for the device.
            times.append(time.perf_counter())
    return np.diff(times)


def gradient_of(trial: Trial, *, images: int) -> NDArray[np.float64]:
    """Return the gradient of the loss of the first images, of all weights that are trained, end to end.

    The same images, views and modes for any precision, so that two of them can be compared.

    Args:
        trial: What is trained, on a copy of its model; the precision must be a name.
        images: How many, at most.
    """
    model, recipe = copy.deepcopy(trial.model), trial.recipe
    set_trainable(model, layer_groups(model, unfreeze=recipe.finetune.unfreeze))
    set_modes(model, batchnorm=recipe.finetune.batchnorm)
    few = trial.items[:images]
    (views,) = prepared_batches(
        few, model.preprocessing, batch_size=len(few), threads=trial.threads
    )
    whole = whole_targets(trial.targets, model.preprocessing)
    targets = torch.from_numpy(whole[: len(few)]).to(trial.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with autocast(trial.device, recipe.compute.precision):
            outputs = model(torch.from_numpy(views).to(trial.device))
        loss = trial.objective.loss(outputs.float(), targets).mean()
        loss.backward()  # type: ignore[no-untyped-call]
    found = [p.grad.double().flatten() for p in model.parameters() if p.grad is not None]
    gradient: NDArray[np.float64] = torch.cat(found).cpu().numpy()
    return gradient


def compute_seconds(
    model: Classifier,
    views: NDArray[np.uint8],
    *,
    recipe: Recipe,
    device: torch.device,
    precision: str,
    steps: int = 4,
) -> float:
    """Return the median seconds of a forward and backward pass, images at hand.

    Args:
        model: A copy is used.
        views: A batch, shape (n, height, width, 3).
        recipe: Which blocks are trained, and BatchNorm's mode.
        device: Where to compute.
        precision: `fp32`, `bf16` or `fp16`.
        steps: How many are timed, after one that is not.
    """
    trial = copy.deepcopy(model)
    set_trainable(trial, layer_groups(trial, unfreeze=recipe.finetune.unfreeze))
    set_modes(trial, batchnorm=recipe.finetune.batchnorm)
    images, times = torch.from_numpy(views), []
    for _ in range(steps + 1):
        start = time.perf_counter()
        trial.zero_grad(set_to_none=True)
        with autocast(device, precision):
            outputs = trial(images.to(device))
        loss = outputs.float().square().mean()
        loss.backward()
        float(loss.detach())  # Waits for the device.
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
