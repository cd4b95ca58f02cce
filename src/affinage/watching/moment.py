"""Where a watched training stands now, and whether this step is looked at."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from affinage.records.training_facts import Part

SHARE = 0.01
"""Of the training's time that watching may take. Steps 0, 1, 2, 4, 8 and 16 are looked at whatever it costs,
so that short trainings are seen as well, and so are 32, 64 … unless a look is dear and the debt high."""

DEAR = 0.02
"""Seconds of a look from which on it is dear."""

DEBT = 0.01
"""Share of the time above which no dear look is taken after step 16."""


class Moment:
    """What every observer of one training shares.

    Attributes:
        step: Steps taken so far.
        epochs: Completed passes over the training data.
        batches: Batches of the training loader in the epoch under way.
        looking: Whether the step under way is looked at.
        busy: True while the watch itself computes; observers keep still then.
        batch: The last batch that a loader gave.
        batch_number: How many batches all loaders have given.
        loader: Whence it came; None where there is none.
        train_loader: The loader whose batches gradients came from.
    """

    def __init__(self) -> None:
        self.step = 0
        self.epochs = 0
        self.batches = 0
        self.looking = True
        self.busy = False
        self.batch: Any = None
        self.batch_number = 0
        self.loader: Any = None
        self.train_loader: Any = None
        self._evaluated_at = -1
        self._spent = self._before = self._cost = 0.0
        self._begun = time.perf_counter()

    def begin_again(self) -> None:
        """Stand before the first step of another training; time goes on."""
        self.step = self.epochs = self.batches = 0
        self.looking = True
        self.train_loader = None
        self._evaluated_at = -1

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let observers keep still, and count the time as ours."""
        if self.busy:
            yield
            return
        self.busy = True
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._spent += time.perf_counter() - begun
            self.busy = False

    def charge(self, seconds: float) -> None:
        """Count time that the training took for our sake as ours."""
        self._spent += seconds

    def next_step(self) -> None:
        """Count a step, and decide whether the next one is looked at."""
        self.step += 1
        if self.looking:
            self._cost = self._spent - self._before
        self._before = self._spent
        self.looking = self._is_due() or self.has_time(seconds=self._cost)

    def _is_due(self) -> bool:
        """Return whether the step is one of those that are doubled each time, and can be afforded."""
        if self.step & (self.step - 1):
            return False
        return self.step <= 16 or self._cost < DEAR or self.share < DEBT

    def looks_at_evaluation(self) -> bool:
        """Return whether this pass without gradients is looked at: one between two steps, at most."""
        if self._evaluated_at == self.step or not (self._evaluated_at < 0 or self.has_time()):
            return False
        self._evaluated_at = self.step
        return True

    def has_time(self, *, seconds: float = 0.0) -> bool:
        """Return whether so many seconds more would stay within the share."""
        elapsed = time.perf_counter() - self._begun
        return self._spent + seconds < SHARE * elapsed

    @property
    def share(self) -> float:
        """Share of the time so far that watching took."""
        return self._spent / max(time.perf_counter() - self._begun, 1e-9)

    def is_through(self) -> bool:
        """Return whether all batches of the epoch under way have been given."""
        return self.batches >= (batches_of(self.train_loader) or float("inf"))

    @property
    def epoch(self) -> float:
        """Position in epochs."""
        per_epoch = batches_of(self.train_loader)
        part = self.batches / per_epoch if per_epoch else 0.0
        return self.epochs + min(part, 1.0)


def batches_of(loader: Any) -> int | None:
    """Return the number of batches of a loader; None where it has none."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def part_named(name: str) -> Part:
    """Return the part of the data that a variable's name speaks of; validation where it is silent."""
    lowered = name.lower()
    if "train" in lowered:
        return "train"
    return "test" if "test" in lowered else "validation"
