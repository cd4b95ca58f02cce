"""Nuisance settings to try: spread evenly, the same for every arm."""

import math

import numpy as np
from scipy.stats import qmc

from affinage.records.question import Arm, Choice, Nuisance, Question, Settings, Span, Value


def nuisance_points(
    nuisance: tuple[Nuisance, ...], *, points: int, seed: int
) -> tuple[Settings, ...]:
    """Return nuisance settings that fill their ranges evenly; one empty setting where there are none.

    The points come from a scrambled Sobol sequence. Any first part of them is spread evenly too, so a
    budget may cut the list; powers of two are spread best.

    Args:
        nuisance: What is tuned.
        points: How many, at least 1.
        seed: Of the scrambling.

    Source:
        Sobol, On the Distribution of Points in a Cube, 1967; scrambling: Owen, Scrambling Sobol' and
        Niederreiter-Xing Points, 1998. Why not at random: Bousquet et al., Critical Hyper-Parameters:
        No Random, No Cry, 2017.
    """
    if not nuisance:
        return ((),)
    sampler = qmc.Sobol(len(nuisance), scramble=True, rng=np.random.default_rng(seed))
    drawn = sampler.random_base2(max(0, math.ceil(math.log2(points))))[:points]
    return tuple(
        tuple((one.key, value_at(one, float(u))) for one, u in zip(nuisance, row, strict=True))
        for row in drawn
    )


def tuned_for(question: Question, arm: int) -> tuple[Nuisance, ...]:
    """Return what an arm is tuned by: without what would change nothing for it."""
    idle = dict(question.arms[arm].idle)
    return tuple(one for one in question.nuisance if one.key not in idle)


def acting(arm: Arm, settings: Settings) -> Settings:
    """Return nuisance settings without those that change nothing for an arm."""
    idle = dict(arm.idle)
    return tuple((key, value) for key, value in settings if key not in idle)


def value_at(one: Nuisance, place: float) -> Value:
    """Return the value at a place in [0, 1] of a range, or of a list of choices."""
    if isinstance(one, Choice):
        return one.values[min(len(one.values) - 1, int(place * len(one.values)))]
    ratio, width = one.high / one.low if one.log else 1.0, one.high - one.low
    value = one.low * ratio**place if one.log else one.low + width * place
    return round(value) if one.whole else float(f"{value:.6g}")


def place_of(span: Span, value: float) -> float:
    """Return where a value lies in a range, 0 at its low end, 1 at its high end."""
    if span.log:
        return math.log(value / span.low) / math.log(span.high / span.low)
    return (value - span.low) / (span.high - span.low)
