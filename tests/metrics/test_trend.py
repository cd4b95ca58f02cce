"""The slope of a curve and its interval agree with their reference, and with their edges by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from affinage.metrics.trend import trend

numbers = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=3, max_size=40).filter(
    lambda values: len(set(values)) > 1
)


@given(numbers)
def test_the_slope_and_its_interval_are_those_of_regression(values):
    fitted = linregress(np.arange(len(values)), values)
    estimate = trend(values)
    half = t.ppf(0.975, len(values) - 2) * fitted.stderr
    assert estimate.value == pytest.approx(fitted.slope, abs=1e-9)
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=1e-6, abs=1e-6)
    assert estimate.n == len(values)


def test_a_straight_line_is_known_exactly():
    estimate = trend([3.0, 2.5, 2.0, 1.5])
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((-0.5, -0.5, -0.5))


def test_equal_values_stand_still_for_sure():
    estimate = trend([2.0, 2.0, 2.0])
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_slope(values):
    assert trend(values).value is None


def test_two_values_have_a_slope_without_an_interval():
    estimate = trend([1.0, 3.0])
    assert (estimate.value, estimate.low, estimate.high) == (2.0, None, None)
