"""From values to places: ranges, ticks and their labels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from affinage.reporting.words import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis: values between `low` and `high` lie between the places `start` and `end`.

    Attributes:
        low: Value at `start`.
        high: Value at `end`, above `low`.
        start: Place in the picture.
        end: Place in the picture; below `start` for an axis that points up.
        log: Places follow the logarithm; then `low` is positive.
        ticks: Values that get a label.
        labels: Their labels.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def linear_scale(
    values: Iterable[float],
    *,
    start: float,
    end: float,
    most: int = 5,
    tight: bool = False,
    largest: float | None = None,
) -> Scale:
    """Return an axis with round ticks that holds all values.

    It begins at zero where the values come near it. A constant gets room above and below.

    Args:
        values: Finite; none gives 0..1.
        start: Place of the low end.
        end: Place of the high end.
        most: About how many ticks.
        tight: Ends at the values instead of at ticks, as fits time.
        largest: Value that none can exceed: the axis does not either.
    """
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if 0 < low < 0.5 * high and not tight:
        low = 0.0
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(low) * 0.1 or 1.0
        low, high = (low - room, high + room) if low < 0 else (max(0.0, low - room), high + room)
    bound = math.inf if largest is None or max(known) > largest else largest
    step = nice_step((min(high, bound) - low) / max(1, most - 1))
    if not tight:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    high = min(high, bound)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Scale(
        low=low,
        high=high,
        start=start,
        end=end,
        log=False,
        ticks=ticks,
        labels=tick_labels(ticks, step),
    )


def log_scale(values: Iterable[float], *, start: float, end: float) -> Scale:
    """Return a logarithmic axis whose ticks are decades, or 1, 2 and 5 times these where few.

    Args:
        values: Positive; none gives 1..10.
        start: Place of the low end.
        end: Place of the high end.
    """
    known = list(values) or [1.0, 10.0]
    low, high = min(known), max(known)
    if high / low < 1.05:
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    mantissas: tuple[int, ...] = (1,) if last - first >= 3 else (1, 2, 5)
    every = max(1, math.ceil((last - first) / 6))
    ticks = tuple(
        mantissa * 10.0**power
        for power in range(first, last + 1, every)
        for mantissa in mantissas
        if low * 0.999 <= mantissa * 10.0**power <= high * 1.001
    )
    if len(ticks) < 2:
        ticks = (low, high)
    return Scale(
        low=low,
        high=high,
        start=start,
        end=end,
        log=True,
        ticks=ticks,
        labels=tuple(number(tick) for tick in ticks),
    )


def nice_step(rough: float) -> float:
    """Return the least of 1, 2, 5 × 10ⁿ that is not below a rough step."""
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def tick_labels(ticks: tuple[float, ...], step: float) -> tuple[str, ...]:
    """Return labels that all have the decimals of the step."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if step < 1e-4 or largest >= 1e6:
        return tuple(number(round(tick / step) * step) for tick in ticks)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return tuple(f"{tick + 0.0:,.{places}f}".replace("-", "−") for tick in ticks)
