"""The time that a run may take, and what it has taken."""

import contextlib
import re
import time
from collections.abc import Iterator

from affinage.errors import RecipeError

_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def parse_duration(text: str | float) -> float:
    """Return seconds from `90`, `90s`, `10m`, `1h30m`, `1.5h`.

    Raises:
        RecipeError: If it is none of these, or not above zero.
    """
    plain = str(text).strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)(sec|min|[smh])", plain)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != plain:
        try:
            seconds = float(plain)
        except ValueError:
            seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise RecipeError(
            f"'{text}' is not a span of time.", remedy="Write it as 90s, 10m or 1h30m."
        )
    return seconds


class Clock:
    """Measures phases, and knows how much of a budget is left.

    Args:
        budget: Seconds that the whole may take; None for no bound.
        started: `time.monotonic()` of the start; now by default.
    """

    def __init__(self, budget: float | None = None, *, started: float | None = None) -> None:
        self.budget = budget
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic() if started is None else started

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds left of the budget; infinite without one."""
        return float("inf") if self.budget is None else self.budget - self.elapsed

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
