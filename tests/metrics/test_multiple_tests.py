import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from affinage.errors import DataError
from affinage.metrics.multiple_tests import benjamini_hochberg, benjamini_yekutieli

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_lists)
def test_q_values_agree_with_scipy(p):
    np.testing.assert_allclose(
        benjamini_hochberg(p), np.maximum(false_discovery_control(p, method="bh"), p), atol=1e-12
    )
    np.testing.assert_allclose(
        benjamini_yekutieli(p), np.maximum(false_discovery_control(p, method="by"), p), atol=1e-12
    )


@given(p_lists)
def test_a_smaller_p_never_has_a_larger_q(p):
    order = np.argsort(p, kind="stable")
    for q_values in (benjamini_hochberg, benjamini_yekutieli):
        assert (np.diff(q_values(p)[order]) >= -1e-12).all()


def test_one_test_keeps_its_p():
    assert benjamini_hochberg([0.03]).tolist() == [0.03]
    assert benjamini_yekutieli([0.03]).tolist() == [0.03]


def test_no_test_has_no_q():
    assert benjamini_hochberg([]).shape == (0,)


def test_by_hand():
    np.testing.assert_allclose(
        benjamini_hochberg([0.04, 0.01, 0.9, 0.02]), [0.16 / 3, 0.04, 0.9, 0.04]
    )


def test_among_true_nulls_a_report_is_as_rare_as_promised():
    random = np.random.default_rng(0)
    reports = [(benjamini_hochberg(random.random(50)) <= 0.05).any() for _ in range(2000)]
    assert np.mean(reports) < 0.065


@pytest.mark.parametrize("p", [[1.2], [-0.1], [np.nan], [[0.1]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(DataError):
        benjamini_hochberg(p)
