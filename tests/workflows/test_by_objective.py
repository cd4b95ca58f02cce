import numpy as np
import pytest

from affinage.records.recipe_text import parse_recipe
from affinage.training.losses import make_objective
from affinage.workflows.by_objective import choose_by_loss


@pytest.mark.parametrize(
    ("finetuned", "better", "words"),
    [(1.0, True, "lower by"), (-1.0, False, "higher by"), (0.0, False, "lower by 0.000")],
)
def test_a_choice_says_which_way_the_loss_went(finetuned, better, words):
    labels = np.ones((6, 1))
    objective = make_objective(
        parse_recipe(None, ["task=multilabel"]), classes=1, targets=np.array([[1.0], [0.0]])
    )
    head, tuned = np.zeros((6, 1)), np.full((6, 1), finetuned)
    chosen, why = choose_by_loss(objective, head, tuned, labels, what="log loss per label")
    assert chosen is better
    assert words in why
    assert "-0.000" not in why
