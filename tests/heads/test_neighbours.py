import numpy as np
import pytest

from affinage.errors import DataError
from affinage.heads import neighbours as module
from affinage.heads.neighbours import neighbours, unit_rows


def clustered(rows, size=16, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(rows // 8, size))
    return unit_rows(np.repeat(centres, 8, axis=0) + 0.3 * random.normal(size=(rows, size)))


def by_hand(known, asked, count, *, itself):
    cosines = asked @ known.T
    if itself:
        np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :count]


def test_few_rows_are_compared_with_every_other():
    rows = clustered(80)
    found = neighbours(rows, count=5)
    assert found.rows.tolist() == by_hand(rows, rows, 5, itself=True).tolist()
    assert (np.diff(found.cosines, axis=1) <= 0).all()


def test_queries_may_be_their_own_nearest():
    rows = clustered(80)
    found = neighbours(rows, rows[:10], count=3)
    assert found.rows.tolist() == by_hand(rows, rows[:10], 3, itself=False).tolist()
    assert found.rows[:, 0].tolist() == list(range(10))


def test_lists_find_nearly_all_and_always_the_same(monkeypatch):
    monkeypatch.setattr(module, "SMALL", 100)
    rows = clustered(2000)
    found = neighbours(rows, count=5)
    true = by_hand(rows, rows, 5, itself=True)
    agreed = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.rows, true, strict=True)])
    assert agreed > 0.97
    assert (found.rows[:, 0] == true[:, 0]).mean() > 0.98
    assert found.rows.tolist() == neighbours(rows, count=5).rows.tolist()


def test_no_row_is_its_own_neighbour_in_lists_either(monkeypatch):
    monkeypatch.setattr(module, "SMALL", 100)
    found = neighbours(clustered(400), count=4)
    assert not (found.rows == np.arange(400)[:, None]).any()


def test_all_lists_probed_give_the_true_answer(monkeypatch):
    monkeypatch.setattr(module, "SMALL", 100)
    rows = clustered(400)
    found = neighbours(rows, count=4, probes=10**6)
    assert found.rows.tolist() == by_hand(rows, rows, 4, itself=True).tolist()


def test_lists_look_at_few_pairs(monkeypatch):
    seen = 0
    offer = module._Best.offer

    def counted(self, queries, rows, cosines, *, itself):
        nonlocal seen
        seen += cosines.size
        offer(self, queries, rows, cosines, itself=itself)

    monkeypatch.setattr(module._Best, "offer", counted)
    rows = clustered(6000)
    neighbours(rows, count=4)
    assert seen < 0.2 * 6000**2


def test_fewer_rows_than_asked_for():
    found = neighbours(unit_rows([[1.0, 0.0], [0.0, 1.0]]), count=3)
    assert found.rows.tolist() == [[1, -1, -1], [0, -1, -1]]
    assert np.isneginf(found.cosines[:, 1:]).all()


def test_equal_rows_are_told_in_their_order():
    found = neighbours(unit_rows(np.ones((5, 3))), count=3)
    assert found.rows[4].tolist() == sorted(found.rows[4].tolist())


def test_a_row_of_zeros_stays_and_is_like_nothing():
    rows = unit_rows([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    assert rows[0].tolist() == [0, 0]
    assert neighbours(rows, count=1).rows[1:, 0].tolist() == [2, 1]


def test_shapes_that_disagree_are_refused():
    with pytest.raises(DataError, match=r"\(3, 2\) and \(3, 4\)"):
        neighbours(np.ones((3, 2), np.float32), np.ones((3, 4), np.float32), count=1)
