"""What a recipe asks for that these images, or this task, cannot give: refused before any time is spent."""

from affinage.errors import RecipeError
from affinage.records.recipe import Recipe
from affinage.records.task import task_named
from affinage.training.stopping import JUDGED
from affinage.workflows.classifying import positive_class


def refuse_unfit(recipe: Recipe, classes: tuple[str, ...]) -> None:
    """Refuse what needs two classes where there are others, and scores that the task does not have.

    Raises:
        RecipeError: With the reason, and what can be had.
    """
    _check_threshold(recipe, classes)
    _check_positive(recipe, classes)
    _check_stop_on(recipe)


def _check_threshold(recipe: Recipe, classes: tuple[str, ...]) -> None:
    asked = {"sensitivity": recipe.sensitivity, "miss_cost": recipe.miss_cost}
    for name, value in asked.items():
        if value is not None and recipe.task == "classify" and len(classes) != 2:
            raise RecipeError(
                f"{name}={value:g} sets a threshold between two classes, and there are"
                f" {len(classes)}: {', '.join(classes[:8])}.",
                remedy="Leave it out, or make two classes of these.",
            )


def _check_positive(recipe: Recipe, classes: tuple[str, ...]) -> None:
    if recipe.positive is not None and positive_class(recipe, classes) not in classes:
        raise RecipeError(
            f"positive: '{recipe.positive}' is not one of two classes: {', '.join(classes[:8])}.",
            remedy="Name one of two classes, or leave it out.",
        )


def _check_stop_on(recipe: Recipe) -> None:
    name, known = recipe.finetune.stop_on, task_named(recipe.task).watched
    if "finetune" in recipe.stages and name is not None and name not in (*known, JUDGED):
        raise RecipeError(
            f"finetune.stop_on={name} is not a score of task={recipe.task} that training looks at.",
            remedy=f"Choose one of {', '.join(known)}, or leave it out.",
        )
