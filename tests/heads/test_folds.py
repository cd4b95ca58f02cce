import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import DataError, RecipeError
from affinage.heads.folds import _dealt_alone, _dealt_together, assign_folds


def names(n):
    return [f"i{number}" for number in range(n)]


def test_every_fold_has_its_share_of_every_class():
    labels = np.array([0] * 50 + [1] * 23 + [2] * 7)
    part = assign_folds(labels, names(80), folds=5, seed=0)
    table = np.array([[np.sum((part == f) & (labels == c)) for c in range(3)] for f in range(5)])
    assert (np.ptp(table, axis=0) <= 1).all()
    assert np.ptp(table.sum(axis=1)) <= 2


cases = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=50)


@given(cases, st.integers(2, 6), st.integers(0, 99), st.randoms(use_true_random=False))
def test_groups_stay_together_and_order_does_not_matter(rows, folds, seed, random):
    labels = np.array([row[0] for row in rows])
    groups = [f"g{row[1]}" for row in rows]
    part = assign_folds(labels, names(len(rows)), folds=folds, seed=seed, groups=groups)
    assert part.shape == labels.shape
    assert set(part) == set(range(int(part.max()) + 1))  # None is empty.
    assert part.max() < folds
    for group in set(groups):
        assert len({part[i] for i in range(len(rows)) if groups[i] == group}) == 1
    order = list(range(len(rows)))
    random.shuffle(order)
    mixed = assign_folds(
        labels[order], [names(len(rows))[i] for i in order], folds=folds, seed=seed,
        groups=[groups[i] for i in order],
    )  # fmt: skip
    assert mixed.tolist() == part[order].tolist()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 9))
def test_images_that_stand_alone_are_dealt_as_groups_of_one(labels, folds, seed):
    labels = np.array(labels)
    ids = names(len(labels))
    units, unit = np.unique(np.array(ids, dtype=object), return_inverse=True)
    together = _dealt_together(units.tolist(), unit, labels, folds, seed)[unit]
    np.testing.assert_array_equal(_dealt_alone(ids, labels, folds, seed), together)


def test_another_seed_deals_otherwise():
    labels = np.zeros(40, dtype=int)
    a, b = (assign_folds(labels, names(40), folds=4, seed=seed) for seed in (0, 1))
    assert (a != b).any()


def test_there_are_no_more_folds_than_images_of_the_largest_class():
    assert assign_folds(np.array([0, 0, 0, 1]), names(4), folds=5, seed=0).max() == 2
    assert assign_folds(np.array([0, 1, 2]), names(3), folds=5, seed=0).tolist() == [0, 0, 0]


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(RecipeError, match="2 folds"):
        assign_folds(np.array([0]), names(1), folds=1, seed=0)
    with pytest.raises(DataError, match="ids"):
        assign_folds(np.array([0, 1]), names(1), folds=2, seed=0)
    with pytest.raises(DataError, match="groups"):
        assign_folds(np.array([0, 1]), names(2), folds=2, seed=0, groups=["a"])
