"""Whether a training had its chance and stands still: by tests, not by the look of a curve."""

from statistics import median

from affinage.diagnosis.rates import update_ratio
from affinage.diagnosis.reading import (
    finite,
    images_in,
    last_histogram,
    majority,
    surely_above,
    surely_below,
    tail,
    train_accuracy,
    validation_accuracy,
)
from affinage.metrics.trend import trend
from affinage.records.signals import Signals

_POINTS = 6
_PATH = 1.0
_SPENT = 0.3
_FURTHER = 0.1
MARGIN = 0.1
"""A score within this share of the way from the baseline to 1 is as good as the baseline."""


def chance_missed(signals: Signals) -> str:
    """Return why a training that has not learnt yet may still be healthy; empty where nothing says so.

    It had its chance where its steps, added up, could have replaced the weights once; its learning rate is
    not spent; and even at the greatest speed that the last half of its losses allows (95 % interval of
    their slope), as many epochs again would lower the loss by less than a tenth.
    """
    curve = [p.value for p in signals.curve("loss", "train (running)")]
    late = curve[len(curve) // 2 :]
    ratio, steps = update_ratio(signals), signals.steps or 0
    if len([o for o in signals.optimizers or () if o.steps]) > 1:
        return "several optimizers took turns, and their losses may pull against each other"
    if len(late) < _POINTS:
        return f"only {len(curve)} epochs were seen, too few to tell a flat curve from a slow one"
    if ratio is None:
        return "how far the weights moved was not seen"
    if ratio * steps < _PATH:
        return (
            f"{steps} steps of {ratio:.1e} of the weights' size could not have replaced them once"
        )
    if _spent(signals):
        return "its learning rate is spent, so a flat loss says nothing about the network"
    return _falling(late, len(curve))


def _falling(late: list[float], epochs: int) -> str:
    slope = trend(late)
    fastest = max(0.0, -(slope.low or 0.0)) * epochs
    if fastest < _FURTHER * abs(median(late)):
        return ""
    return (
        f"its loss may still be falling: by up to {fastest:.2g} in {epochs:g} more epochs, as its slope "
        f"of {slope.value:.2g} per epoch is known ({slope.low:.2g} to {slope.high:.2g}, n = {slope.n})"
    )


def _spent(signals: Signals) -> bool:
    rates = finite(signals.series_of("learning_rate"))
    return bool(rates) and (tail(rates, 0.5) or 0.0) < _SPENT * max(rates)


def is_poor_on_training(signals: Signals) -> bool:
    """Return whether training images are surely not learnt: below half the way from the baseline to 1."""
    learnt, base = train_accuracy(signals), training_baseline(signals)
    n = _measured(signals)
    return (
        learnt is not None and base is not None and surely_below(learnt, n, base + 0.5 * (1 - base))
    )


def training_baseline(signals: Signals) -> float | None:
    """Return the accuracy of the most frequent class on training images, or else on validation."""
    base = majority(signals, "train (evaluation mode)") or majority(signals, "validation")
    return base[0] if base else None


def _measured(signals: Signals) -> int:
    histogram = last_histogram(signals, "train (evaluation mode)")
    return sum(histogram.true) if histogram else images_in(signals, "train")


def learns(signals: Signals) -> bool:
    """Return whether the training surely learnt something: a score above its baseline on either part."""
    base, score = majority(signals, "validation"), validation_accuracy(signals)
    n = images_in(signals, "validation")
    if base is not None and score is not None and surely_above(score, n, base[0]):
        return True
    learnt, own = train_accuracy(signals), training_baseline(signals)
    return learnt is not None and own is not None and surely_above(learnt, _measured(signals), own)
