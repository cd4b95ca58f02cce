import pytest

from affinage.errors import RecipeError
from affinage.training.stopping import Scores, look_is_due


def counted(values, **more):
    """An `evaluate` that gives these scores, one after the other."""
    waiting = iter(values)
    return lambda model: Scores(
        judged=1.0, values={"loss": 1.0, "accuracy": next(waiting)}, rising=frozenset({"accuracy"})
    )


def test_patience_and_the_best_weights_follow_the_score_that_is_named(small, tmp_path):
    recipe = small.recipe("finetune.stop_on=accuracy", "finetune.patience=2", "finetune.epochs=9")
    _, ended = small.train(recipe, tmp_path, evaluate=counted([0.1, 0.5, 0.4, 0.3, 0.9]))
    assert (ended.best_step, ended.steps) == (4, 12)
    assert ended.stopped == "2 epochs without a better validation accuracy"


def test_a_score_that_the_task_does_not_have_is_refused_before_the_first_step(small, tmp_path):
    recipe = small.recipe("finetune.stop_on=mae")
    with pytest.raises(RecipeError, match="mae") as caught:
        small.train(recipe, tmp_path, evaluate=counted([0.1]))
    assert "accuracy, loss" in str(caught.value)


def test_without_patience_nothing_stops(small, tmp_path):
    recipe = small.recipe("finetune.patience=null", "finetune.epochs=9")
    _, ended = small.train(recipe, tmp_path, evaluate=lambda model: Scores(judged=1.0))
    assert (ended.steps, ended.stopped) == (36, "")


def test_looks_come_after_so_many_images(small, tmp_path):
    points = []
    recipe = small.recipe(
        "finetune.evaluate_every=30", "finetune.epochs=3", "finetune.patience=null"
    )
    looked = []

    def evaluate(model):
        looked.append(len(points))
        return Scores(judged=1.0)

    small.train(recipe, tmp_path, evaluate=evaluate, points=points)
    epochs = [p.epoch for p in points if p.series == "learning_rate"]
    assert epochs == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert len(looked) == 7


@pytest.mark.parametrize("every", [1, 7, 16, 40, 1000])
def test_no_image_is_counted_for_two_looks(every, small):
    settings = small.recipe(f"finetune.evaluate_every={every}").finetune
    due = [look_is_due(settings, step=step, size=16, per_epoch=4) for step in range(1, 101)]
    assert sum(due) == min(100, 1600 // every)


def test_minutes_end_a_training_at_a_step(small, tmp_path):
    recipe = small.recipe("finetune.minutes=0.0001", "finetune.epochs=50")
    _, ended = small.train(recipe, tmp_path)
    assert ended.steps < 200
    assert "0.0001 minutes" in ended.stopped


def test_a_plateau_cuts_the_rate_of_the_steps_that_follow(small, tmp_path):
    recipe = small.recipe(
        "schedule.name=plateau", "schedule.patience=1", "schedule.warmup=0", "finetune.epochs=3",
        "schedule.factor=0.5", "optimizer.lr=0.01",
    )  # fmt: skip
    points = []
    small.train(recipe, tmp_path, evaluate=lambda model: Scores(judged=1.0), points=points)
    rates = [p.value for p in points if p.series == "learning_rate"]
    assert rates == pytest.approx([0.01, 0.005, 0.0025])


def test_a_training_without_validation_takes_the_cuts_of_another(small, tmp_path):
    recipe = small.recipe(
        "schedule.name=plateau", "schedule.warmup=0", "finetune.epochs=3", "optimizer.lr=0.01",
        "finetune.evaluate_every=15",
    )  # fmt: skip
    points = []
    small.train(recipe, tmp_path, points=points, cuts=((1.5, 0.1),))
    rates = [p.value for p in points if p.series == "learning_rate"]
    assert rates == pytest.approx([0.01] * 6 + [0.001] * 6)
