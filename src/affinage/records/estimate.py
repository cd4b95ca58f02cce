"""Estimate: a number that carries its uncertainty."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured value with its 95 % interval and the number of images behind it.

    Attributes:
        value: The measurement; None where the data cannot say (no image of a class, say).
        low: Lower end of the 95 % interval; None with `value`.
        high: Upper end of the 95 % interval; None with `value`.
        n: How many images it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def decimals(self, *, scale: float = 1.0, least: int = 0, otherwise: int = 3) -> int:
        """Return how many decimals it deserves: two digits of half its interval, eight at most.

        Args:
            scale: What it is shown in, such as 100 for percent.
            least: At least so many.
            otherwise: Where it has no interval.
        """
        if self.low is None or self.high is None:
            return otherwise
        half = scale * (self.high - self.low) / 2
        if not (math.isfinite(half) and half > 0):
            return otherwise
        return min(8, max(least, 1 - math.floor(math.log10(half))))
