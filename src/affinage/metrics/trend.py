"""How fast a curve moves, with its interval."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from affinage.records.estimate import Estimate


def trend(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return the slope of a line through equally spaced values, with Student's interval.

    Args:
        values: Finite numbers, such as one loss per epoch; at least 3 for an interval.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Change per place; without an interval for 2 values, empty for fewer. `n` counts the values. The
        interval holds where residuals are independent; those of a loss nearly are from epoch to epoch.

    Source:
        Draper & Smith, Applied Regression Analysis, 1998, section 1.4.
    """
    n = len(values)
    if n < 2:
        return Estimate(value=None, low=None, high=None, n=n)
    places = np.arange(n) - (n - 1) / 2
    numbers = np.asarray(values, dtype=np.float64)
    spread = float((places**2).sum())
    slope = float((places * numbers).sum()) / spread
    if n == 2:
        return Estimate(value=slope, low=None, high=None, n=n)
    rest = numbers - numbers.mean() - slope * places
    error = math.sqrt(float((rest**2).sum()) / (n - 2) / spread)
    half = float(stdtrit(n - 2, (1 + confidence) / 2)) * error
    return Estimate(value=slope, low=slope - half, high=slope + half, n=n)
