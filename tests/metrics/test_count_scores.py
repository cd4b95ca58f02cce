import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, mean_absolute_error, root_mean_squared_error

from affinage.errors import DataError
from affinage.metrics.counts import (
    constants,
    count_confusion,
    count_scores,
    redrawn_means,
    round_counts,
)
from affinage.metrics.intervals import resample, wilson


def sample(n=80):
    random = np.random.default_rng(0)
    mean = random.gamma([1, 2, 9], 1, (n, 3))
    return mean, random.poisson(mean).astype(float)


def test_halves_go_up_and_nothing_is_below_0():
    assert round_counts([-3, -0.4, 0.49, 0.5, 1.5, 2.5, 2.49]).tolist() == [0, 0, 0, 1, 2, 3, 2]
    assert round_counts([-3, 0.9, 1.0, 2.999], "floor").tolist() == [0, 0, 1, 2]


@given(st.integers(0, 10_000))
def test_a_whole_count_is_itself_after_32_bits_and_either_rounding(count):
    near = np.nextafter(np.float32(count), np.float32(0))
    for rounding in ("nearest", "floor"):
        assert round_counts(count, rounding) == count
        assert round_counts(near, "nearest") == count
    if count < 16:
        assert round_counts(near, "floor") == count


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(DataError, match="not a finite number"):
        round_counts([1.0, wrong])


def test_scores_are_those_of_scikit_learn():
    expected, truth = sample()
    for index, scores in enumerate(count_scores(expected, truth)):
        said, true = expected[:, index], truth[:, index]
        assert scores.mae.value == pytest.approx(mean_absolute_error(true, said))
        assert scores.rmse.value == pytest.approx(root_mean_squared_error(true, said))
        assert scores.bias.value == pytest.approx((said - true).mean())
        off = np.abs(round_counts(said) - true)
        assert scores.exact == wilson(int((off == 0).sum()), 80)
        assert scores.within_one == wilson(int((off <= 1).sum()), 80)


def test_rounding_comes_before_comparing():
    """Compared first, 2.4 for 2 is wrong on every image and the score reads 0."""
    scores = count_scores(np.full((10, 1), 2.4), np.full((10, 1), 2.0))[0]
    assert scores.exact.value == 1
    floor = count_scores(np.full((10, 1), 2.9), np.full((10, 1), 2.0), rounding="floor")[0]
    assert floor.exact.value == 1


def test_intervals_hold_the_value_and_shrink_with_images():
    few, many = (count_scores(*(x[:n] for x in sample(800)))[2] for n in (40, 800))
    for scores in (few, many):
        for estimate in (scores.mae, scores.rmse, scores.bias):
            assert estimate.low < estimate.value < estimate.high
    assert few.mae.high - few.mae.low > 2 * (many.mae.high - many.mae.low)


def test_an_interval_of_the_mean_error_holds_it_about_19_times_in_20():
    random = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        truth = random.poisson(3, (60, 1))
        mae = count_scores(np.full((60, 1), 3.0), truth, seed=seed)[0].mae
        held += mae.low <= 1.344 <= mae.high  # E|Poisson(3) - 3| = 2 · 3^4 e^-3 / 3!
    assert 0.88 <= held / 200 <= 0.99


def test_a_perfect_count_has_an_interval_all_the_same():
    scores = count_scores(np.ones((20, 1)), np.ones((20, 1)))[0]
    assert scores.mae.value == scores.bias.value == 0
    assert 0 < scores.mae.high == pytest.approx(wilson(0, 20).high)
    assert scores.bias.low < 0 < scores.bias.high


@pytest.mark.parametrize("n", [1, 7, 5000])
def test_redrawn_means_are_means_of_the_bootstrap_draws(n, monkeypatch):
    values = np.random.default_rng(1).normal(size=(n, 2))
    monkeypatch.setattr("affinage.metrics.counts.LARGEST_BATCH", 13_000)
    slow = np.stack([values[rows].mean(axis=0) for rows in resample(n, seed=5, draws=40)])
    assert redrawn_means(values, seed=5, draws=40) == pytest.approx(slow)


def test_constants_are_those_of_the_columns():
    found = constants([[0, 4], [1, 4], [1, 5], [6, 5]])
    assert found.mean.tolist() == [2, 4.5]
    assert found.median.tolist() == [1, 4.5]
    assert found.mode.tolist() == [1, 4]  # Of equals the smallest.


def test_the_confusion_is_that_of_scikit_learn_over_what_occurs():
    truth, said = np.array([0, 0, 7, 2, 30]), np.array([0, 2, 7, 2, 29])
    values, table = count_confusion(truth, said)
    assert values.tolist() == [0, 2, 7, 29, 30]
    assert table.tolist() == confusion_matrix(truth, said, labels=values).tolist()


@pytest.mark.parametrize(
    ("said", "truth"),
    [
        (np.ones((3, 1)), np.ones((3, 2))),
        (np.ones(3), np.ones(3)),
        (np.ones((3, 1)), -np.ones((3, 1))),
        (np.full((3, 1), np.nan), np.ones((3, 1))),
        (np.ones((0, 1)), np.ones((0, 1))),
    ],
)
def test_what_cannot_be_scored_is_refused(said, truth):
    with pytest.raises(DataError):
        count_scores(said, truth)
