"""Numbers that several rules read off the same signals."""

import math
from statistics import median

from affinage.metrics.intervals import wilson_bounds
from affinage.records.signals import Histogram, Point, Series, Signals
from affinage.records.training_facts import Feeding, InputFacts, Objective, OutputFacts, TargetFacts
from affinage.records.verdict import Trace

_CLASS_LOSSES = {"cross_entropy", "nll_loss"}


def finite(series: Series | None) -> list[float]:
    """Return the values of a series that are numbers."""
    return [v for v in series.values if v is not None] if series else []


def tail(values: list[float], share: float = 0.25) -> float | None:
    """Return the median of the last part of values; None where there are none."""
    return median(values[-max(1, round(len(values) * share)) :]) if values else None


def head(values: list[float], count: int = 3) -> float | None:
    """Return the median of the first values; None where there are none."""
    return median(values[:count]) if values else None


def trained_objective(signals: Signals) -> Objective | None:
    """Return the loss from which gradients came last; None where none is known."""
    own = [o for o in signals.objectives or () if o.part_of == "training"]
    return own[-1] if own else None


def targets_of(signals: Signals, part: str = "train") -> TargetFacts | None:
    """Return the targets of a part."""
    return next((t for t in signals.targets or () if t.part == part), None)


def inputs_of(signals: Signals, part: str = "train") -> InputFacts | None:
    """Return the images of a part as they reached the network."""
    return next((t for t in signals.inputs or () if t.part == part), None)


def outputs_of(signals: Signals, part: str = "train") -> OutputFacts | None:
    """Return the outputs of a part."""
    return next((t for t in signals.outputs or () if t.part == part), None)


def feeding_of(signals: Signals, part: str = "train") -> Feeding | None:
    """Return how a part is fed."""
    return next((t for t in signals.feeding or () if t.part == part), None)


def last(points: tuple[Point, ...]) -> float | None:
    """Return the last value of a curve."""
    return points[-1].value if points else None


def train_accuracy(signals: Signals) -> float | None:
    """Return the accuracy on training images at the end: in evaluation mode where that was measured."""
    for on in ("train (evaluation mode)", "train (training mode)", "train (running)"):
        value = last(signals.curve("accuracy", on))
        if value is not None:
            return value
    return None


def validation_accuracy(signals: Signals) -> float | None:
    """Return the last accuracy on validation images."""
    return last(signals.curve("accuracy", "validation"))


def images_in(signals: Signals, part: str) -> int:
    """Return how many images a part has; 0 where unknown."""
    histogram = last_histogram(signals, part)
    return (signals.images or {}).get(part, 0) or (sum(histogram.true) if histogram else 0)


def last_histogram(signals: Signals, on: str) -> Histogram | None:
    """Return the last predictions by class of a part."""
    own = [h for h in signals.histograms or () if h.on == on]
    return own[-1] if own else None


def ignoring_loss(signals: Signals) -> float | None:
    """Return the loss of always saying the shares of the classes, or the mean; None where unknown."""
    objective, targets = trained_objective(signals), targets_of(signals)
    if objective is None or targets is None:
        return None
    if objective.name in _CLASS_LOSSES and targets.by_class:
        total = sum(targets.by_class)
        shares = [n / total for n in targets.by_class if n]
        return -sum(share * math.log(share) for share in shares)
    if objective.name == "mse_loss" and targets.std is not None:
        return targets.std**2
    return None


def majority(signals: Signals, on: str) -> tuple[float, int] | None:
    """Return the accuracy of the most frequent class on a part, and its images."""
    base = next((b for b in signals.baselines or () if b.on == on and b.series == "accuracy"), None)
    return (base.value, base.n) if base else None


def surely_below(value: float, n: int, bound: float) -> bool:
    """Return whether a share of n images lies below a bound, its 95 % interval included."""
    return n > 0 and wilson_bounds(round(value * n), n)[1] < bound


def surely_above(value: float, n: int, bound: float) -> bool:
    """Return whether a share of n images lies above a bound, its 95 % interval included."""
    return n > 0 and wilson_bounds(round(value * n), n)[0] > bound


def with_interval(value: float, n: int) -> str:
    """Return a share in words, with its 95 % interval."""
    low, high = wilson_bounds(round(value * n), n)
    return f"{value:.3f} ({low:.3f} to {high:.3f}, n = {n})"


def trace(points: tuple[Point, ...], name: str) -> Trace:
    """Return a curve as numbers for a plot."""
    return Trace(
        name=name, at=tuple(p.epoch for p in points), values=tuple(p.value for p in points)
    )


def series_trace(series: Series | None, name: str) -> tuple[Trace, ...]:
    """Return a series as numbers for a plot; nothing where there is none."""
    if series is None:
        return ()
    pairs = [
        (float(s), v) for s, v in zip(series.steps, series.values, strict=True) if v is not None
    ]
    return (Trace(name=name, at=tuple(s for s, _ in pairs), values=tuple(v for _, v in pairs)),)
