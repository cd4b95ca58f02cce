"""Numbers by step, kept few however long a training is."""

import math
from dataclasses import dataclass, field

from affinage.records.signals import Series

MOST = 2000


@dataclass(slots=True)
class Numbers:
    """One series that is thinned out by halves when it grows long."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stride: int = 1

    def add(self, step: int, value: float) -> None:
        """Append a value, unless its step falls between those that are kept."""
        if (step - 1) % self.stride:
            return
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST:
            self.stride *= 2
            kept = [i for i, s in enumerate(self.steps) if not (s - 1) % self.stride]
            self.steps = [self.steps[i] for i in kept]
            self.values = [self.values[i] for i in kept]


@dataclass(slots=True)
class SeriesBook:
    """All series of a training, by name and layer."""

    numbers: dict[tuple[str, str], Numbers] = field(default_factory=dict)

    def add(self, step: int, values: dict[tuple[str, str], float]) -> None:
        """Append one number to each of several series."""
        for key, value in values.items():
            self.numbers.setdefault(key, Numbers()).add(step, value)

    def facts(self) -> tuple[Series, ...]:
        """Return all series in the order in which they began."""
        return tuple(
            Series(
                name=name,
                layer=layer,
                steps=tuple(numbers.steps),
                values=tuple(v if math.isfinite(v) else None for v in numbers.values),
            )
            for (name, layer), numbers in self.numbers.items()
        )
