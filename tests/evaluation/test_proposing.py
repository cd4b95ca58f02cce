import numpy as np
import pytest

from affinage.evaluation.proposing import propose, worse_classes
from affinage.records.estimate import Estimate


def difference(low, high, n=100):
    return Estimate(value=(low + high) / 2, low=low, high=high, n=n)


NONE = Estimate(value=None, low=None, high=None, n=0)


@pytest.mark.parametrize(
    ("untouched", "new", "worse", "expected"),
    [
        (difference(0.01, 0.05), NONE, (), "better"),
        (difference(-0.02, 0.02), difference(0.1, 0.4), (), "better"),
        (difference(-0.02, 0.02), difference(-0.1, 0.4), (), "not better than noise"),
        (difference(-0.02, 0.02), NONE, (), "not better than noise"),
        (difference(-0.05, -0.01), difference(0.1, 0.4), (), "worse"),
        (difference(0.01, 0.05), difference(0.1, 0.4), ("cat",), "worse"),
    ],
)
def test_what_is_proposed(untouched, new, worse, expected):
    proposal, why = propose(untouched, new, worse)
    assert proposal == expected
    assert all(f"'{name}'" in why for name in worse)


def test_a_class_that_is_surely_worse_is_named_and_a_small_one_is_not():
    labels = np.repeat(["a", "b", "c"], [40, 40, 5])
    deployed = np.ones(85, dtype=bool)
    candidate = deployed.copy()
    candidate[40:60] = candidate[80:] = False
    assert worse_classes(candidate, deployed, labels) == ("b",)
    assert worse_classes(deployed, candidate, labels) == ()
