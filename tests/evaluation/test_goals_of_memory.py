"""Goals of closed sets: their images are all there are."""

import dataclasses

import pytest

from affinage.evaluation.classify import evaluate_classification
from affinage.evaluation.goals import answer_goal, parse_goal
from affinage.records.task import CLASSIFY


def measured(right, n, *, memory):
    probabilities = [[0.9, 0.1]] * right + [[0.1, 0.9]] * (n - right)
    return evaluate_classification(
        part="validation", probabilities=probabilities, labels=[0] * n,
        images=[str(k) for k in range(n)], paths=[str(k) for k in range(n)], classes=("a", "b"),
        train_labels=[0, 1], nearest=None, memory_test=memory,
    )  # fmt: skip


@pytest.mark.parametrize(("right", "verdict"), [(20, "met"), (18, "met"), (17, "not met")])
def test_a_memory_test_is_answered_by_its_value(right, verdict):
    goal = parse_goal("accuracy >= 0.9", CLASSIFY)
    assert answer_goal(goal, measured(right, 20, memory=True)).verdict == verdict


def test_a_forecast_of_so_few_images_is_not():
    goal = parse_goal("accuracy >= 0.9", CLASSIFY)
    answer = answer_goal(goal, measured(20, 20, memory=False))
    assert answer.verdict == "too few images to say"
    assert dataclasses.asdict(answer)["images_needed"]
