"""Where a search looks: the ranges around the best settings of exploration."""

import numpy as np

from affinage.records.question import Choice, Nuisance, Question, Settings, Span, Value
from affinage.studies.bounds import crowded_bound, widened
from affinage.studies.design import place_of, value_at
from affinage.studies.planning import Ended
from affinage.studies.scoring import METRICS

BEST = 0.25
"""Share of the explored settings that the search stays around."""

FEWEST = 4
NARROWEST = 0.25
"""Least part of a range that is kept: exploration has few points, and luck among them."""

Explored = list[tuple[Settings, float]]


def explored_gains(
    question: Question, ended: Ended, points: tuple[Settings, ...], arm: int
) -> Explored:
    """Return an arm's explored settings with their gains (more is better), the best first."""
    sign = METRICS[question.metric].sign
    found = [
        (points[job.point], sign * trial.score)
        for job, trial in sorted(ended.items())
        if job.arm == arm
        and not job.repeat
        and job.point < question.points
        and trial.score is not None
    ]
    return sorted(found, key=lambda one: -one[1])


def narrowed(question: Question, explored: Explored) -> tuple[Nuisance, ...]:
    """Return what is tuned, narrowed to around the best quarter of what was explored.

    A range keeps at least a quarter of its width. Where its bound cuts the optimum off, it goes beyond
    that bound by half its width; a choice keeps the values that occur among the best.

    Args:
        question: What was asked.
        explored: Settings with their gains, the best first.

    Source:
        Godbole et al., Deep Learning Tuning Playbook, 2023: explore first, then search where it was good.
    """
    if len(explored) < 2 * FEWEST:
        return question.nuisance
    best = explored[: max(FEWEST, round(BEST * len(explored)))]
    return tuple(_around(one, explored, best) for one in question.nuisance)


def _around(one: Nuisance, explored: Explored, best: Explored) -> Nuisance:
    values = [dict(settings)[one.key] for settings, _ in best]
    if isinstance(one, Choice):
        kept = tuple(value for value in one.values if value in values)
        return Choice(key=one.key, values=kept) if len(kept) > 1 else one
    places = [place_of(one, _number(dict(settings)[one.key])) for settings, _ in explored]
    side = crowded_bound(places, [gain for _, gain in explored])
    around = np.array([place_of(one, _number(value)) for value in values])
    spare = 0.5 * float(np.ptp(around)) / max(1, len(around) - 1)
    low, high = float(around.min()) - spare, float(around.max()) + spare
    short = max(0.0, NARROWEST - (high - low)) / 2
    low, high = max(0.0, low - short), min(1.0, high + short)
    ends = (_number(value_at(one, low)), _number(value_at(one, high)))
    if side is not None:
        wide = widened(one, side)
        ends = (wide.low, ends[1]) if side == "low" else (ends[0], wide.high)
    if not ends[0] < ends[1]:
        return one
    return Span(key=one.key, low=ends[0], high=ends[1], log=one.log, whole=one.whole)


def lies_in(space: tuple[Nuisance, ...], settings: Settings) -> bool:
    """Return whether settings lie in a space."""
    values = dict(settings)
    return all(_holds(one, values[one.key]) for one in space)


def _holds(one: Nuisance, value: Value) -> bool:
    if isinstance(one, Choice):
        return value in one.values
    return one.low <= _number(value) <= one.high


def _number(value: Value) -> float:
    return float(value)  # type: ignore[arg-type]
