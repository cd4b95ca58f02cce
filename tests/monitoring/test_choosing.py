import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.monitoring.choosing import choose
from affinage.monitoring.unlike import loneliness, share_unlike


def ids(n):
    return [f"{number:064x}" for number in range(n)]


@given(n=st.integers(1, 40), count=st.integers(0, 60), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_no_more_than_asked_and_none_twice(n, count, seed):
    random = np.random.default_rng(seed)
    chosen = choose(
        random.normal(size=(n, 8)), random.random(n) * 2, random.random(n),
        images=ids(n), count=count, seed=seed,
    )  # fmt: skip
    rows = [one.row for one in chosen]
    assert len(rows) == len(set(rows)) <= min(n, count)


def test_each_reason_has_its_share_and_its_images():
    random = np.random.default_rng(0)
    far, sure = np.r_[np.full(90, 0.5), np.full(10, 3.0)], random.random(100)
    chosen = choose(random.normal(size=(100, 8)), far, sure, images=ids(100), count=12, seed=1)
    by = {
        why: [one.row for one in chosen if one.why == why] for why in ("chance", "unlike", "unsure")
    }
    assert [len(rows) for rows in by.values()] == [4, 4, 4]
    assert min(by["unlike"]) >= 90
    assert max(sure[by["unsure"]]) < 0.2


def test_images_drawn_by_chance_are_drawn_again_when_a_few_more_have_come():
    random = np.random.default_rng(0)
    rows, names = random.normal(size=(220, 8)), ids(220)

    def drawn(n):
        found = choose(rows[:n], np.zeros(n), np.ones(n), images=names[:n], count=60, seed=0)
        return {names[one.row] for one in found if one.why == "chance"}

    before, after = drawn(200), drawn(220)
    assert len(before) == len(after) == 20
    assert len(before & after) >= 14
    assert after - before <= set(names[200:])


def test_copies_are_labelled_once():
    rows = np.repeat(np.random.default_rng(0).normal(size=(3, 8)), 10, axis=0)
    assert len(choose(rows, np.zeros(30), np.zeros(30), images=ids(30), count=30, seed=0)) == 3


def test_far_images_are_far_and_known_ones_near():
    random = np.random.default_rng(0)
    known = random.normal(size=(200, 16)) + 3
    new, other = random.normal(size=(100, 16)) + 3, random.normal(size=(100, 16)) - 3
    near = share_unlike(loneliness(known, new))
    assert near.low == 0
    assert near.value < 0.05
    assert share_unlike(loneliness(known, other)).value == pytest.approx(1)
