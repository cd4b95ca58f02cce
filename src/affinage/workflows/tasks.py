"""Each task's work, by the name in a recipe."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from affinage.errors import RecipeError
from affinage.models.parts import Parts
from affinage.records.recipe import Recipe
from affinage.records.task import COUNT, MULTILABEL, task_named
from affinage.training.losses import Objective, make_objective
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
        RecipeError: If there is no such task, or a loss of the user's own stands before a stage that
            knows its own loss.
    """
    lesson = _lesson(recipe, make_objective(recipe, classes=len(classes), targets=targets), parts)
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
    own = replace(objective, loss=parts.loss, plain=parts.loss)
    return Lesson(objective=own, own_loss=True, transform=parts.transform)
