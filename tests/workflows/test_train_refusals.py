import numpy as np
import pytest

from affinage.errors import RecipeError
from affinage.records.recipe_text import parse_recipe
from affinage.records.task import TASKS
from affinage.workflows.tasks import work_of
from affinage.workflows.train_refusals import refuse_unfit

TARGETS = {
    "classify": np.array([0, 1, 0, 1]),
    "multilabel": np.array([[0, 1], [1, 1], [1, 0], [0, 1]]),
    "count": np.array([[0, 1], [2, 1], [1, 0], [0, 3]]),
}


@pytest.mark.parametrize("setting", ["sensitivity=0.9", "miss_cost=5", "positive=cat"])
def test_what_is_for_two_classes_is_refused_where_there_are_three(setting):
    recipe = parse_recipe(None, [setting])
    with pytest.raises(RecipeError, match=r"two classes.*cat, cow, dog"):
        refuse_unfit(recipe, ("cat", "cow", "dog"))
    refuse_unfit(recipe, ("cat", "dog"))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_score_to_stop_on_is_one_that_training_looks_at(task):
    for name in (*task.watched, "judged"):
        refuse_unfit(
            parse_recipe(None, [f"task={task.name}", f"finetune.stop_on={name}"]), ("a", "b")
        )
    wrong = parse_recipe(None, [f"task={task.name}", "finetune.stop_on=beauty"])
    with pytest.raises(RecipeError, match=", ".join(task.watched)):
        refuse_unfit(wrong, ("a", "b"))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_scores_that_are_named_are_those_that_are_measured(task):
    recipe, targets = parse_recipe(None, [f"task={task.name}"]), TARGETS[task.name]
    work = work_of(recipe, ("a", "b"), targets, None)
    outputs = np.zeros((4, 2), dtype=np.float32)
    assert set(work.scores(outputs, targets).values) == set(task.watched)
