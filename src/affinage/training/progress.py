"""Where a training stands, and the clock of its sittings."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from affinage.training.schedule import Plateau

COMPLETE = "complete"


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a training stands; saved with every checkpoint.

    Attributes:
        step: Steps taken.
        loss_sum: Sum of losses since the last look, in training mode.
        hits: Sum of hits since the last look.
        seen: Images since the last look.
        best: The best score so far, turned so that less is better; None before the first look.
        best_step: Step of it.
        flat: Looks since then.
        seconds: Time in training, over all sittings.
        stopped: Why it ended; empty while it goes on.
        lost_at: Step at which the loss was no number any more.
        frozen_outputs: Whether the output of frozen layers is kept, or why not.
        history: (step, score) of every look.
        plateau: Where the schedule of that name stands.
    """

    step: int = 0
    loss_sum: float = 0.0
    hits: float = 0.0
    seen: int = 0
    best: float | None = None
    best_step: int = 0
    flat: int = 0
    seconds: float = 0.0
    stopped: str = ""
    lost_at: int | None = None
    frozen_outputs: str = ""
    history: list[tuple[int, float]] = field(default_factory=list)
    plateau: Plateau = field(default_factory=Plateau)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return what `facts` gave."""
        whole = dict(facts)
        history = [(int(step), float(value)) for step, value in whole.pop("history")]
        plateau = Plateau(**whole.pop("plateau"))
        plateau.cuts = [(float(epoch), float(factor)) for epoch, factor in plateau.cuts]
        return cls(**whole, history=history, plateau=plateau)


class Sitting:
    """The clock of a training that may be interrupted."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = time.perf_counter()
        self._saved = self._start

    def seconds(self) -> float:
        """Return the time in training, over all sittings."""
        return self._before + time.perf_counter() - self._start

    def save_is_due(self, seconds: float) -> bool:
        """Return whether the last checkpoint is older than so many seconds."""
        return time.perf_counter() - self._saved > seconds

    def saved(self) -> None:
        """Note that a checkpoint was written."""
        self._saved = time.perf_counter()
