"""How a collection is going, in numbers for people."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

_WINDOW = 10.0  # Seconds over which the present speed is measured.


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A look at a collection while it runs.

    Attributes:
        done: Addresses that ended in this run.
        waiting: Addresses that wait, as far as is known.
        kept: Of those done, how many brought an image.
        per_second: Images a second, over the last seconds.
        failures: Reasons and how often each, the most frequent first.
        slowest: Hosts with the longest answers and their seconds, the longest first.
        resting: Hosts that have something to give and are not asked at the moment.
        rest: Seconds until the last of them is asked again.
    """

    done: int
    waiting: int
    kept: int
    per_second: float
    failures: tuple[tuple[str, int], ...] = ()
    slowest: tuple[tuple[str, float], ...] = ()
    resting: int = 0
    rest: float = 0.0


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts what ends; written by one thread, read by another.

    Attributes:
        waiting: Addresses that wait, as far as is known.
        done: Addresses that ended in this run.
        kept: Of those, how many brought an image.
        reasons: How often each reason for failing was met.
        marks: Times and images had at them, over the last seconds.
    """

    waiting: int = 0
    done: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    def count(self, reasons: Iterable[str | None], now: float) -> None:
        """Count addresses that ended, each by its reason; None for an image."""
        for reason in reasons:
            self.done += 1
            if reason is None:
                self.kept += 1
            elif reason in self.reasons or len(self.reasons) < 1_000:
                self.reasons[reason] += 1
        self.marks.append((now, self.kept))
        while now - self.marks[0][0] > _WINDOW:
            self.marks.popleft()

    def standing(
        self, slowest: Iterable[tuple[str, float]] = (), rests: Iterable[float] = ()
    ) -> Standing:
        """Return the numbers as they are now, with the hosts' last seconds and the rests that are left."""
        left = list(rests)
        marks = list(self.marks)
        seconds = marks[-1][0] - marks[0][0] if marks else 0.0
        images = marks[-1][1] - marks[0][1] if marks else 0
        return Standing(
            done=self.done,
            waiting=max(0, self.waiting - self.done),
            kept=self.kept,
            per_second=images / seconds if seconds > 0 else 0.0,
            failures=tuple(Counter(dict(self.reasons)).most_common(5)),
            slowest=tuple(slowest),
            resting=len(left),
            rest=max(left, default=0.0),
        )
