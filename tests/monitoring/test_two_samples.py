import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from affinage.monitoring.permuting import memberships
from affinage.monitoring.two_samples import (
    area,
    held_out,
    largest_gap,
    mean_discrepancy,
    principal,
    shares_apart,
)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_the_gap_is_scipys_for_every_shuffle(random):
    values = np.round(random.normal(size=50), 1)  # With ties.
    members = memberships(30, 20, seed=0, shuffles=10)
    expected = [ks_2samp(values[column > 0], values[column == 0]).statistic for column in members.T]
    assert largest_gap(values)(members) == pytest.approx(expected, abs=1e-6)


def test_the_shares_are_those_counted_by_hand():
    kinds = np.array([0, 0, 1, 1, 0, 2])
    members = np.array([[0, 0, 0, 0, 1, 1]], dtype=np.float32).T
    assert shares_apart(kinds)(members) == pytest.approx([0.5])


def test_the_discrepancy_is_its_definition(random):
    rows = random.normal(size=(25, 3))
    members = memberships(15, 10, seed=0, shuffles=3)
    square = cdist(rows, rows, "sqeuclidean")
    median = np.median(square[np.triu_indices(25, 1)])
    kernel = np.mean([np.exp(-square / (2 * median * w**2)) for w in (0.5, 1, 2)], axis=0)
    for column, found in zip(members.T, mean_discrepancy(rows)(members), strict=True):
        one, other = column > 0, column == 0
        expected = (
            kernel[np.ix_(one, one)].mean()
            + kernel[np.ix_(other, other)].mean()
            - 2 * kernel[np.ix_(one, other)].mean()
        )
        assert found == pytest.approx(expected, abs=1e-5)


def test_the_area_is_scikit_learns(random):
    scores, window = np.round(random.normal(size=40), 1), random.random(40) < 0.4
    assert area(scores, window) == pytest.approx(roc_auc_score(window, scores))


def test_no_image_takes_part_in_its_own_score(random):
    matrix = held_out(random.normal(size=(30, 4)), seed=0)
    assert not np.diag(matrix).any()


def test_held_out_scores_find_what_differs_and_nothing_else(random):
    rows = random.normal(size=(200, 10))
    window = np.arange(200) >= 120
    same = area(held_out(rows, seed=0) @ window, window)
    rows[window, 3] += 1.5
    assert area(held_out(rows, seed=0) @ window, window) > 0.75
    assert abs(same - 0.5) < 0.12


@pytest.mark.parametrize("shape", [(40, 8), (20, 60)])
def test_principal_axes_keep_distances_where_all_are_kept(random, shape):
    rows = random.normal(size=shape)
    along = principal(rows, 60)
    ratio = cdist(rows, rows)[0, 1:] / cdist(along, along)[0, 1:]
    assert ratio == pytest.approx(np.full(len(ratio), ratio[0]), rel=1e-6)
    assert along[:, 0].std() == pytest.approx(1)


def test_equal_rows_have_axes_without_length():
    assert not principal(np.ones((5, 3))).any()
