import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.errors import DataError, RecipeError
from affinage.metrics.looks import ERROR, level_at, planned_looks
from affinage.metrics.paired import crossed, detectable, paired_bootstrap, planned_variance


def draw(random, repeats, n, *, image, seed, rest):
    return (
        random.normal(0, image, n)
        + random.normal(0, seed, (repeats, 1))
        + random.normal(0, rest, (repeats, n))
    )


def test_mean_squares_are_those_of_the_textbook():
    table = np.array([[1.0, 2.0, 4.0], [2.0, 5.0, 4.0]])
    found = crossed(table)
    between_images = 2 * sum((m - 3) ** 2 for m in (1.5, 3.5, 4.0)) / 2
    between_seeds = 3 * sum((m - 3) ** 2 for m in (7 / 3, 11 / 3)) / 1
    total = ((table - 3) ** 2).sum()
    rest = (total - 2 * between_images - between_seeds) / 2
    assert found.mean == 3
    assert found.image_square == pytest.approx(between_images)
    assert found.seed_square == pytest.approx(between_seeds)
    assert found.rest_square == pytest.approx(rest)


def test_variance_components_are_found_again():
    random = np.random.default_rng(0)
    found = [crossed(draw(random, 20, 200, image=0.3, seed=0.1, rest=0.5)) for _ in range(200)]
    assert np.mean([one.image_variance for one in found]) == pytest.approx(0.09, rel=0.05)
    assert np.mean([one.seed_variance for one in found]) == pytest.approx(0.01, rel=0.1)
    assert np.mean([one.rest_variance for one in found]) == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize(
    ("image", "seed", "rest", "repeats", "n"),
    [(0.3, 0.0, 0.2, 5, 200), (0.05, 0.05, 0.1, 3, 200), (0.1, 0.01, 0.3, 9, 100)],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(image, seed, rest, repeats, n):
    random, held = np.random.default_rng(1), 0
    for _ in range(600):
        table = draw(random, repeats, n, image=image, seed=seed, rest=rest)
        low, high = crossed(table).interval(0.95)
        held += low <= 0 <= high
    assert held / 600 >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 600)


def test_one_seed_has_no_interval():
    assert crossed(np.ones((1, 5))).interval(0.95) == (-np.inf, np.inf)


def test_few_images_that_differ_are_not_sure():
    table = np.zeros((3, 100))
    table[:, :3] = 1.0  # The same three of a hundred, for every seed.
    low, _ = crossed(table, unit=1.0).interval(0.95)
    assert low < 0


def test_a_table_with_a_gap_is_refused():
    with pytest.raises(DataError):
        crossed([[1.0, np.nan]])


def test_the_bootstrap_agrees_with_the_plain_loop():
    random = np.random.default_rng(3)
    table = draw(random, 4, 30, image=0.2, seed=0.1, rest=0.1)
    fast = paired_bootstrap(table, seed=0, draws=4000)
    slow = []
    for _ in range(4000):
        rows, columns = random.integers(0, 4, 4), random.integers(0, 30, 30)
        slow.append(table[np.ix_(rows, columns)].mean())
    low, high = np.percentile(slow, [2.5, 97.5])
    assert fast.value == pytest.approx(table.mean())
    assert fast.low == pytest.approx(low, abs=0.01)
    assert fast.high == pytest.approx(high, abs=0.01)


def test_the_planned_variance_is_the_pilots_own_at_its_own_size():
    pilot = crossed(draw(np.random.default_rng(5), 6, 50, image=1, seed=0.5, rest=0.2))
    assert planned_variance(pilot, repeats=6) == pytest.approx(pilot.variance())


@given(st.integers(2, 40), st.floats(0.9, 0.999))
@settings(max_examples=30, deadline=None)
def test_more_repeats_and_more_images_detect_less(repeats, level):
    pilot = crossed(draw(np.random.default_rng(repeats), 3, 60, image=0.2, seed=0.1, rest=0.2))
    here = detectable(pilot, repeats=repeats, level=level)
    assert detectable(pilot, repeats=repeats + 5, level=level) <= here
    assert detectable(pilot, repeats=repeats, level=level, images=600) <= here


@pytest.mark.parametrize("repeats", [1, 2, 3, 4, 10, 17, 100])
@pytest.mark.parametrize("comparisons", [1, 14])
def test_the_error_of_all_looks_and_comparisons_adds_up_to_no_more_than_allowed(
    repeats, comparisons
):
    looks = planned_looks(repeats)
    assert looks[-1] == repeats
    assert list(looks) == sorted(set(looks))
    spent = sum(
        (1 - level_at(look, looks, comparisons=comparisons)) * comparisons for look in looks
    )
    assert spent == pytest.approx(ERROR)


def test_a_study_without_repeats_is_refused():
    with pytest.raises(RecipeError):
        planned_looks(0)
