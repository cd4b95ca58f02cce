"""A mean score with its interval."""

import numpy as np
import pytest

from affinage.studies.scoring import METRICS, mean_score


def test_a_share_stays_within_nothing_and_all():
    rows = [np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0])]
    told = mean_score(rows, METRICS["accuracy"])
    assert told.low == 0.0
    assert told.value == pytest.approx(1 / 6)
    assert told.high <= 1.0
    assert told.n == 3


def test_one_seed_has_no_interval_and_none_has_no_score():
    one = mean_score([np.array([1.0, 3.0])], METRICS["log_loss"])
    assert (one.value, one.low, one.high) == (2.0, None, None)
    assert mean_score([], METRICS["log_loss"]).value is None
