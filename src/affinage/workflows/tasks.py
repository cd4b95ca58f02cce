"""Each task's work, by the name in a recipe."""

from affinage.records.recipe import Recipe
from affinage.records.task import task_named
from affinage.workflows.classifying import Classifying
from affinage.workflows.work import TaskWork

WORK: tuple[TaskWork, ...] = (Classifying(),)


def work_of(recipe: Recipe) -> TaskWork:
    """Return how the recipe's task is worked.

    Raises:
        RecipeError: If there is no such task.
    """
    task = task_named(recipe.task)
    return next(work for work in WORK if work.task == task)
