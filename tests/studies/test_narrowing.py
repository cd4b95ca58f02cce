import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.records.question import Choice, Question, Search, Span
from affinage.store.trial_queue import distribution
from affinage.studies.bounds import crowded_bound
from affinage.studies.design import nuisance_points, place_of
from affinage.studies.narrowing import NARROWEST, lies_in, narrowed
from affinage.studies.searching import choosing_seeds, next_settings

LR = Span(key="lr", low=1e-5, high=1e-1, log=True)
HOW = Choice(key="how", values=("x", "y", "z"))


def explored(optimum, *, points=32, seed=0, bad=9):
    """Settings with their gains, the best first: a peak at one learning rate, `z` always bad."""
    design = nuisance_points((LR, HOW), points=points, seed=seed)
    found = [
        (one, -((np.log10(one[0][1]) - optimum) ** 2) - bad * (one[1][1] == "z")) for one in design
    ]
    return sorted(found, key=lambda pair: -pair[1])


def asked():
    return Question(question="?", sources=("x",), arms=(), nuisance=(LR, HOW))


@settings(max_examples=40, deadline=None)
@given(st.floats(-4.5, -1.5), st.integers(0, 20))
def test_the_narrowed_range_holds_the_optimum_and_is_narrower(optimum, seed):
    around, how = narrowed(asked(), explored(optimum, seed=seed))
    assert around.low <= 10**optimum <= around.high
    width = place_of(LR, around.high) - place_of(LR, around.low)
    assert NARROWEST - 1e-3 <= width < 1
    assert "z" not in how.values


def test_a_range_that_cuts_the_optimum_off_is_left_beyond_its_bound():
    around, _ = narrowed(asked(), explored(0.0, bad=0))
    assert around.high > LR.high
    assert around.low > LR.low


def test_a_few_settings_narrow_nothing():
    assert narrowed(asked(), explored(-3, points=4)) == (LR, HOW)


@pytest.mark.parametrize("method", ["tpe", "gp", "asha", "hyperband"])
def test_the_same_trials_and_seed_give_the_same_settings_in_the_space(method):
    space, words = (LR, HOW), {one.key: distribution(one) for one in (LR, HOW)}
    given = (Search(method=method), space, words, [])
    first, again = (next_settings(*given, sign=1, seed=3) for _ in range(2))
    assert first == again
    assert lies_in(space, first)


@pytest.mark.parametrize("repeats", range(1, 12))
def test_seeds_that_choose_leave_some_that_do_not_where_there_are_two(repeats):
    chosen = choosing_seeds(repeats)
    assert chosen.start == 1
    assert len(chosen) >= 1
    assert repeats == 1 or chosen.stop <= repeats


def test_a_plateau_whose_very_best_lies_elsewhere_is_no_crowded_bound():
    places = np.log10([0.00014, 0.00059, 0.0026, 0.0112, 0.063, 0.273, 0.586, 2.4]) / 5 + 0.8
    assert crowded_bound(places, [0.872, 0.872, 0.868, 0.866, 0.871, 0.871, 0.874, 0.866]) is None


def test_where_a_setting_does_nothing_a_bound_is_hardly_ever_named():
    random, named = np.random.default_rng(0), 0
    for _ in range(500):
        places = (np.arange(16) + random.random(16)) / 16
        named += crowded_bound(places, random.normal(size=16)) is not None
    assert named / 500 <= 0.03
