"""Each task's work, by the name in a recipe."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.errors import ModelError, RecipeError
from affinage.models.parts import Parts, qualified
from affinage.records.recipe import Recipe
from affinage.records.task import COUNT, MULTILABEL, task_named
from affinage.training.losses import Loss, Objective, make_objective
from affinage.workflows.classifying import Classifying
from affinage.workflows.counting import Counting
from affinage.workflows.tagging import Tagging
from affinage.workflows.work import Lesson, TaskWork


def work_of(
    recipe: Recipe, classes: tuple[str, ...], targets: NDArray[Any], parts: Parts | None = None
) -> TaskWork:
    """Return how the recipe's task is worked.

    Args:
        recipe: Settings.
        classes: Class names.
        targets: Of the training part.
        parts: A user's own, of which loss and transform matter here.

    Raises:
        ModelError: If a loss of the user's own does not take what it will be given.
        RecipeError: If there is no such task, or a loss of the user's own stands before a stage that
            knows its own loss, or beside settings of another.
    """
    objective = make_objective(recipe, classes=len(classes), targets=targets)
    lesson = _lesson(recipe, objective, parts)
    if lesson.own_loss:
        _try_loss(recipe, objective.outputs, len(classes), targets, lesson.objective.loss)
    task = task_named(recipe.task)
    if task == COUNT:
        return Counting(recipe, classes, targets, lesson)
    if task == MULTILABEL:
        return Tagging(recipe, classes, lesson)
    return Classifying(recipe, classes, lesson)


def _lesson(recipe: Recipe, objective: Objective, parts: Parts | None) -> Lesson:
    if parts is None:
        return Lesson(objective=objective)
    if parts.loss is None:
        return Lesson(objective=objective, transform=parts.transform)
    if "features" in recipe.stages:
        raise RecipeError(
            "The stage 'features' fits its head by the recipe's loss, not by one of your own.",
            remedy="Train with stages='finetune'.",
        )
    idle = _idle_beside_own_loss(recipe)
    if idle:
        raise RecipeError(
            f"{' and '.join(idle)} would change nothing, since the loss is one of your own.",
            remedy="Leave it out, and do in your loss what it was to do.",
        )
    own = replace(objective, loss=parts.loss, plain=parts.loss)
    return Lesson(objective=own, own_loss=True, transform=parts.transform)


def _idle_beside_own_loss(recipe: Recipe) -> list[str]:
    """Return the settings that were asked for and that a loss of the user's own knows nothing of."""
    smoothing, balance = recipe.finetune.label_smoothing, recipe.loss.balance
    smoothed = "label_smoothing" in recipe.finetune.altered and smoothing > 0
    named = recipe.loss.name is not None and task_named(recipe.task) not in (COUNT, MULTILABEL)
    return [
        *([f"loss.name={recipe.loss.name}"] if named else []),
        *([f"loss.balance={balance}"] if balance not in ("none", "sampler") else []),
        *([f"finetune.label_smoothing={smoothing:g}"] if smoothed else []),
    ]


def _try_loss(
    recipe: Recipe, outputs: int, classes: int, targets: NDArray[Any], loss: Loss
) -> None:
    """Give a user's loss what a training will, before any time is spent on it.

    Raises:
        ModelError: If it cannot take that, or does not give a loss for each image.
    """
    wanted = torch.from_numpy(np.asarray(targets[:4]))
    mixed = recipe.augment.mixup > 0 or recipe.augment.cutmix > 0
    if mixed and wanted.ndim == 1:
        wanted = torch.nn.functional.one_hot(wanted.long(), classes).float()
    name = qualified(loss)
    try:
        found = loss(torch.zeros(len(wanted), outputs, requires_grad=True), wanted)
    except Exception as error:  # The user's code: whatever it raises is told.
        first = (str(error).strip().splitlines() or ["no message"])[0]
        shape = tuple(wanted.shape)
        raise ModelError(
            f"The loss '{name}' raised {type(error).__name__} for targets of shape {shape}: {first}",
            remedy="Mixed images have rows of shares for labels: let the loss take them, or leave "
            "augment.mixup and augment.cutmix at 0."
            if mixed
            else "Mend it, and try it alone: affinage.check_part('loss', ...)",
        ) from error
    given = tuple(getattr(found, "shape", ()))
    if given != (len(wanted),):
        raise ModelError(
            f"The loss '{name}' gives shape {given} for {len(wanted)} images; a training "
            "wants a loss for each.",
            remedy="Do not average: torch's losses take reduction='none'.",
        )
