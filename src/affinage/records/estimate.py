"""Estimate: a number that carries its uncertainty."""

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
