import numpy as np
import pytest

from affinage.studies.learning_curve import extrapolate

SIZES = [10, 20, 40, 80, 160]


def curve(random, *, n=400, repeats=5):
    """Errors of single images whose mean follows 0.1 + 0.9 / size ** 0.5."""
    return [(random.random((repeats, n)) < 0.1 + 0.9 * size**-0.5) * 1.0 for size in SIZES]


def test_a_power_law_is_found_again():
    sharp = [np.full((2, 50), 0.1 + 0.9 * size**-0.5) for size in SIZES]
    (told,) = extrapolate(SIZES, sharp, [640])
    assert told.error.value == pytest.approx(0.1 + 0.9 * 640**-0.5, abs=1e-3)


def test_the_band_holds_the_truth_nearly_as_often_as_it_says():
    random, held, truth = np.random.default_rng(0), 0, 0.1 + 0.9 * 320**-0.5
    for draw in range(40):
        (told,) = extrapolate(SIZES, curve(random), [320], seed=draw)
        held += told.error.low <= truth <= told.error.high
    assert held >= 33  # 38 expected; below 33 in 1 of 100 runs of an honest band.


def test_two_sizes_are_no_curve():
    assert extrapolate([5, 10], [np.ones((2, 3)), np.zeros((2, 3))], [20]) == ()
