"""How long work tells where it is: phases with time left, and sentences."""

import sys
import time
from typing import Protocol, TextIO


class Reporter(Protocol):
    """Told of everything that takes time; draws it or not."""

    def phase(self, name: str, done: int, total: int | None) -> None:
        """Say that `done` of `total` units of a phase are done; total is None where unknown."""

    def say(self, text: str) -> None:
        """Say a sentence."""


class Silent:
    """Says nothing."""

    def phase(self, name: str, done: int, total: int | None) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""


class Lines:
    """Plain lines for a log file: one when a phase starts, one every few seconds, one at its end.

    Args:
        stream: Where lines go; standard error by default.
        every: Seconds between two lines of one phase.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = 5.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._name = ""
        self._start = 0.0
        self._base = 0
        self._last = 0.0
        self._ended = False

    def phase(self, name: str, done: int, total: int | None) -> None:
        """Print a line where one is due."""
        now = time.monotonic()
        if name != self._name:
            self._name, self._start, self._base, self._last = name, now, done, now
            self._ended = False
        ends = total is not None and done >= total and not self._ended
        if ends and now - self._start > 2.0:
            self._print(f"{name}: {done:,} of {total:,} in {duration(now - self._start)}")
        elif now - self._last >= self._every and not ends:
            self._last = now
            share = f" of {total:,}" if total is not None else ""
            left = time_left(done - self._base, (total or 0) - self._base, now - self._start)
            self._print(f"{name}: {done:,}{share}{left}")
        self._ended = self._ended or ends

    def say(self, text: str) -> None:
        """Print the sentence."""
        self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def time_left(done: int, total: int, seconds: float) -> str:
    """Return words such as `, about 1 min 20 s left`; empty where nothing can be said yet."""
    if done <= 0 or total <= done or seconds < 1:
        return ""
    return f", about {duration(seconds / done * (total - done))} left"


def duration(seconds: float) -> str:
    """Return seconds in words: `8 s`, `1 min 20 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
