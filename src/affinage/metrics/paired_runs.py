"""The mean of differences between paired trainings, with its interval."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from affinage.records.estimate import Estimate


def paired_mean(differences: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return the mean of differences between trainings that share their seed, with Student's interval.

    Args:
        differences: One per pair: score of the changed training minus that of the unchanged one.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The mean; without an interval for one pair, empty for none. `n` is the number of pairs.

    Source:
        Student, The Probable Error of a Mean, 1908.
    """
    n = len(differences)
    if n == 0:
        return Estimate(value=None, low=None, high=None, n=0)
    mean = float(np.mean(differences))
    if n == 1:
        return Estimate(value=mean, low=None, high=None, n=1)
    half = (
        float(t.ppf((1 + confidence) / 2, n - 1))
        * float(np.std(differences, ddof=1))
        / math.sqrt(n)
    )
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)
