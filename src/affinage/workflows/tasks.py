"""Each task's work, by the name in a recipe."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from affinage.errors import RecipeError
from affinage.models.parts import Parts
from affinage.records.recipe import Recipe
from affinage.records.task import CLASSIFY, COUNT, MULTILABEL, Task, task_named
from affinage.workflows.classifying import Classifying
from affinage.workflows.counting import Counting
from affinage.workflows.tagging import Tagging
from affinage.workflows.work import TaskWork

Start = Callable[[Recipe, tuple[str, ...], NDArray[Any]], TaskWork]
WORK: Mapping[Task, Start] = {CLASSIFY: Classifying, MULTILABEL: Tagging, COUNT: Counting}


def work_of(
    recipe: Recipe, classes: tuple[str, ...], targets: NDArray[Any], parts: Parts | None = None
) -> TaskWork:
    """Return how the recipe's task is worked.

    Args:
        recipe: Settings.
        classes: Class names.
        targets: Of the training part.
        parts: A user's own, of which the loss matters here.

    Raises:
        RecipeError: If there is no such task, or a loss of the user's own stands before a stage that
            knows its own loss.
    """
    work = WORK[task_named(recipe.task)](recipe, classes, targets)
    if parts is not None and parts.loss is not None:
        if "features" in recipe.stages:
            raise RecipeError(
                "The stage 'features' fits its head by the recipe's loss, not by one of your own.",
                remedy="Train with stages='finetune'.",
            )
        work.own_loss = True
        work.objective = replace(work.objective, loss=parts.loss, plain=parts.loss)
    work.transform = parts.transform if parts is not None else None
    return work
