import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import DataError, RecipeError
from affinage.evaluation.threshold import choose_threshold

images = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(images, st.floats(0.01, 1.0))
def test_it_is_the_highest_that_finds_the_share(rows, sensitivity):
    scores, positive = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if not positive.any():
        return
    value, rule = choose_threshold(scores, positive, sensitivity=sensitivity)
    assert np.mean(scores[positive] >= value) >= sensitivity - 1e-9
    for higher in scores[scores > value]:
        assert np.mean(scores[positive] >= higher) < sensitivity
    assert f"of the {positive.sum()}" in rule


def test_a_share_that_floating_point_misses_is_hit():
    value, _ = choose_threshold(np.arange(10) / 10, [True] * 10, sensitivity=0.7)
    assert value == 0.3


def test_all_of_them_and_one_of_one():
    assert choose_threshold([0.2, 0.9, 0.1], [1, 1, 0], sensitivity=1.0)[0] == 0.2
    assert choose_threshold([0.4], [True], sensitivity=0.01)[0] == 0.4


def test_equal_probabilities_are_found_together():
    value, rule = choose_threshold([0.5] * 4, [1, 1, 1, 0], sensitivity=0.5)
    assert value == 0.5
    assert "3 of 3" in rule


@pytest.mark.parametrize("cost", [0.1, 1.0, 9.0])
def test_a_cost_sets_the_threshold_that_is_cheapest_on_average(cost):
    random = np.random.default_rng(0)
    probability = random.random(40000)
    positive = random.random(40000) < probability
    value, rule = choose_threshold(probability, positive, miss_cost=cost)
    grid = np.linspace(0.02, 0.98, 49)
    paid = [
        cost * np.sum(positive & (probability < t)) + np.sum(~positive & (probability >= t))
        for t in grid
    ]
    assert value == pytest.approx(1 / (1 + cost))
    assert abs(grid[int(np.argmin(paid))] - value) <= 0.06
    assert f"{cost:g}" in rule


def test_without_a_rule_the_more_probable_class_wins():
    assert choose_threshold([], []) == (0.5, "the more probable class")


def test_a_share_of_nothing_is_refused():
    with pytest.raises(DataError, match="No image"):
        choose_threshold([0.5], [False], sensitivity=0.9)


@pytest.mark.parametrize(
    "rules",
    [
        {"sensitivity": 0.0},
        {"sensitivity": 1.1},
        {"miss_cost": 0.0},
        {"miss_cost": np.inf},
        {"sensitivity": 0.9, "miss_cost": 2.0},
    ],
)
def test_impossible_rules_are_refused(rules):
    with pytest.raises(RecipeError):
        choose_threshold([0.5], [True], **rules)


@pytest.mark.parametrize("scores", [[0.5, 0.5], [1.5], [np.nan], [[0.5]]])
def test_what_is_no_probability_is_refused(scores):
    with pytest.raises(DataError):
        choose_threshold(scores, [True], sensitivity=0.9)
