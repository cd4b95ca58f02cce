import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import RecipeError
from affinage.evaluation.classify import evaluate_classification
from affinage.evaluation.goals import answer_goal, images_needed, parse_goal
from affinage.metrics.intervals import wilson
from affinage.records.estimate import Estimate
from affinage.records.evaluation import Goal
from affinage.records.task import CLASSIFY


@pytest.mark.parametrize(
    ("text", "metric", "value"),
    [
        ("accuracy >= 0.95", "accuracy", 0.95),
        ("accuracy>=95%", "accuracy", 0.95),
        (" Accuracy ≥ 95 % ", "accuracy", 0.95),
        ("accuracy => .9", "accuracy", 0.9),
        ("balanced accuracy >= 0,8", "balanced_accuracy", 0.8),
        ("Macro-F1 >= 99.5%", "macro_f1", 0.995),
        ("macro_f1 >= 1", "macro_f1", 1.0),
        ("macro_f1 >= 5e-1", "macro_f1", 0.5),
    ],
)
def test_goals_are_read(text, metric, value):
    goal = parse_goal(text, CLASSIFY)
    assert goal.metric == metric
    assert goal.at_least == pytest.approx(value)


@pytest.mark.parametrize("metric", CLASSIFY.goals)
@given(value=st.floats(0.001, 1.0))
def test_every_goal_of_the_task_is_read_back(metric, value):
    assert parse_goal(f"{metric} >= {value:.6f}", CLASSIFY).metric == metric


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "accuracy >= 0.95"),
        ("accuracy", "accuracy >= 0.95"),
        ("accuracy > 0.9", "accuracy >= 0.95"),
        ("accuracy <= 0.9", "accuracy >= 0.95"),
        ("accuracy >= high", "accuracy >= 0.95"),
        ("acuracy >= 0.9", '"accuracy >= 0.9"'),
        ("f1 >= 90%", '"macro_f1 >= 90%"'),
        ("balanced >= 0.9", '"balanced_accuracy >= 0.9"'),
        ("log_loss >= 0.9", "there are accuracy"),
        ("accuracy >= 95", "accuracy >= 95%"),
        ("accuracy >= 0", "0.95"),
        ("accuracy >= 120%", "0.95"),
    ],
)
def test_what_is_no_goal_is_answered_with_how_to_write_one(text, remedy):
    with pytest.raises(RecipeError) as caught:
        parse_goal(text, CLASSIFY)
    assert remedy in caught.value.remedy


@given(st.text(max_size=30))
def test_no_text_crashes(text):
    with contextlib.suppress(RecipeError):
        parse_goal(text, CLASSIFY)


def evaluation(right, n):
    probabilities = np.tile([0.9, 0.1], (n, 1))
    return evaluate_classification(
        part="test", probabilities=probabilities, labels=[0] * right + [1] * (n - right),
        images=[str(i) for i in range(n)], paths=[str(i) for i in range(n)], classes=("a", "b"),
        train_labels=[0], nearest=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("right", "n", "verdict"),
    [
        (990, 1000, "met"),
        (900, 1000, "not met"),
        (96, 100, "too few images to say"),
        (94, 100, "too few images to say"),
        (1, 1, "too few images to say"),
        (0, 1, "not met"),
    ],
)
def test_the_interval_answers(right, n, verdict):
    answer = answer_goal(Goal(metric="accuracy", at_least=0.95), evaluation(right, n))
    assert answer.verdict == verdict
    assert answer.part == "test"
    assert answer.estimate == wilson(right, n)
    assert (answer.images_needed is None) == (verdict != "too few images to say")


@pytest.mark.parametrize("metric", CLASSIFY.goals)
def test_every_goal_of_the_task_is_answered(metric):
    answer = answer_goal(Goal(metric=metric, at_least=0.5), evaluation(40, 50))
    assert answer.verdict in {"met", "not met", "too few images to say"}


@pytest.mark.parametrize("share", [0.92, 0.93, 0.97, 0.98])
def test_so_many_images_settle_it_and_fewer_do_not(share):
    estimate = wilson(round(share * 100), 100)
    needed = images_needed(estimate, 0.95)
    assert needed > 100
    settled = [
        bounds.low >= 0.95 or bounds.high < 0.95
        for bounds in (wilson(round(share * n), n) for n in (needed, 2 * needed))
    ]
    assert all(settled)
    fewer = wilson(round(share * int(0.8 * needed)), int(0.8 * needed))
    assert fewer.low < 0.95 <= fewer.high


def test_exactly_on_the_goal_no_number_of_images_settles_it():
    assert images_needed(wilson(95, 100), 0.95) is None
    assert images_needed(wilson(100, 100), 1.0) is None
    assert images_needed(Estimate(value=None, low=None, high=None, n=0), 0.9) is None


def test_a_wider_interval_needs_more_images():
    narrow = wilson(90, 100)
    wide = Estimate(value=0.9, low=narrow.low - 0.1, high=narrow.high + 0.05, n=100)
    assert images_needed(wide, 0.92) > images_needed(narrow, 0.92)


def test_an_unknown_metric_is_refused():
    with pytest.raises(RecipeError, match="'part'"):
        answer_goal(Goal(metric="part", at_least=0.9), evaluation(1, 1))
