"""Each task's work, by the name in a recipe."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from affinage.records.recipe import Recipe
from affinage.records.task import CLASSIFY, COUNT, MULTILABEL, Task, task_named
from affinage.workflows.classifying import Classifying
from affinage.workflows.counting import Counting
from affinage.workflows.tagging import Tagging
from affinage.workflows.work import TaskWork

Start = Callable[[Recipe, tuple[str, ...], NDArray[Any]], TaskWork]
WORK: Mapping[Task, Start] = {CLASSIFY: Classifying, MULTILABEL: Tagging, COUNT: Counting}


def work_of(recipe: Recipe, classes: tuple[str, ...], targets: NDArray[Any]) -> TaskWork:
    """Return how the recipe's task is worked.

    Args:
        recipe: Settings.
        classes: Class names.
        targets: Of the training part.

    Raises:
        RecipeError: If there is no such task.
    """
    return WORK[task_named(recipe.task)](recipe, classes, targets)
