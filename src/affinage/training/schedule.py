"""Learning-rate schedules: the share of the highest rate at each step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from affinage.records.settings.schedule import ScheduleSettings
from affinage.training.plan import Plan

WARMUP = {"one_cycle": 0.25}
WARMUP_ELSE = 0.05
GAMMA = {"exponential": 0.95, "step": 0.1}
LEAST = 1e-3


def schedule_factor(settings: ScheduleSettings, step: int, plan: Plan) -> float:
    """Return the share of the highest learning rate at a step, in (0, 1].

    Every shape rises linearly over its warm-up. Then `one_cycle` (after Smith, A Disciplined Approach
    to Neural Network Hyper-Parameters, 2018) and `cosine` (Loshchilov and Hutter, SGDR, 2017) fall by a
    half cosine to 0.1 %; they differ in the length of the warm-up. `constant` and `plateau` stay;
    `exponential` is gamma to the power of whole epochs, `step` gamma to the power of drops, both counted
    from the first step on. What `plateau` cuts is kept in `Plateau`.

    Args:
        settings: Shape and warm-up.
        step: From 0 to plan.steps - 1.
        plan: Number of steps, in all and per epoch.
    """
    warmup = settings.warmup
    if warmup is None:
        warmup = WARMUP.get(settings.name, WARMUP_ELSE)
    position = (step + 0.5) / plan.steps
    if position < warmup:
        return max(position / warmup, LEAST) * _fallen(settings, step, plan)
    if settings.name in ("one_cycle", "cosine"):
        fall = (position - warmup) / (1 - warmup)
        return max(0.5 * (1 + math.cos(math.pi * fall)), LEAST)
    return _fallen(settings, step, plan)


def _fallen(settings: ScheduleSettings, step: int, plan: Plan) -> float:
    """Return what epochs have left of the rate."""
    if settings.name not in GAMMA:
        return 1.0
    gamma = settings.gamma if settings.gamma is not None else GAMMA[settings.name]
    epochs = step / plan.steps_per_epoch
    powers = math.floor(epochs / settings.every) if settings.name == "step" else math.floor(epochs)
    return float(gamma**powers)


@dataclass(slots=True, kw_only=True)
class Plateau:
    """Where the schedule `plateau` stands; saved with every checkpoint.

    Attributes:
        best: Lowest value so far; None before the first look.
        flat: Looks in a row that did not better it.
        cooling: Looks that are still not counted after a cut.
        factor: Product of all cuts.
        cuts: (epoch, factor from there on) of each.
    """

    best: float | None = None
    flat: int = 0
    cooling: int = 0
    factor: float = 1.0
    cuts: list[tuple[float, float]] = field(default_factory=list)

    def look(self, settings: ScheduleSettings, value: float, *, epoch: float) -> None:
        """Count a look at validation, and cut the rate after too many flat ones.

        The rule is that of torch's ReduceLROnPlateau with a relative threshold, except that the rate
        is cut at the flat look number `patience`, not at the one after it.

        Args:
            settings: Factor, patience, threshold, cooldown, minimum.
            value: The lower the better.
            epoch: When it was looked.
        """
        if self.best is None or value < _bettered(self.best, settings.threshold):
            self.best, self.flat = value, 0
        else:
            self.flat += 1
        if self.cooling:
            self.cooling -= 1
            self.flat = 0
        if self.flat >= settings.patience:
            self.factor = max(self.factor * settings.factor, settings.minimum)
            self.flat, self.cooling = 0, settings.cooldown
            self.cuts.append((epoch, self.factor))


def factor_of(cuts: Iterable[tuple[float, float]], epoch: float) -> float:
    """Return what the cuts of an earlier training, in their order, have left of the rate at an epoch."""
    return next((factor for start, factor in reversed(tuple(cuts)) if start <= epoch), 1.0)


def _bettered(best: float, threshold: float) -> float:
    """Return what is better by a share; scores of which more is better come with a minus sign."""
    return best * (1 - threshold) if best > 0 else best * (1 + threshold)
