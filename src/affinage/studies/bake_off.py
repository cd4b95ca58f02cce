"""Backbones beside each other: which are worth their time."""

from collections.abc import Sequence
from dataclasses import replace

from affinage.errors import RecipeError
from affinage.records.answer import Answer, Weighed
from affinage.records.question import Question
from affinage.studies.judging import scored
from affinage.studies.scoring import METRICS

KEY = "model.backbone"
MOST_FOLLOWED = 4
"""Backbones that are fine-tuned after the first round, at most."""


def check_bake_off(question: Question) -> None:
    """Refuse a bake-off of anything but backbones.

    Raises:
        RecipeError: If something else is varied.
    """
    keys = {key for arm in question.arms for key, _ in arm.settings}
    if len(question.arms) < 2 or keys != {KEY}:
        raise RecipeError(
            f"A bake-off compares backbones, not {', '.join(sorted(keys)) or 'settings'}.",
            remedy=f"Give --bake-off with --vary {KEY}=NAME,NAME and nothing else to vary.",
        )


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """Return for each (gain, cost) whether no other has at least its gain at no more cost, and one better.

    Args:
        points: Of any order; gains where more is better, costs where less is.
    """

    def beaten(one: tuple[float, float]) -> bool:
        return any(other[0] >= one[0] and other[1] <= one[1] and other != one for other in points)

    return tuple(not beaten(point) for point in points)


def with_front(question: Question, said: Answer, weighed: Sequence[Weighed]) -> Answer:
    """Return an answer with what backbones cost and which lie on the front, named in its verdict."""
    metric = METRICS[question.metric]
    known = [
        one
        for one in weighed
        if said.arms[one.arm].confirmed.value is not None and one.milliseconds.value is not None
    ]
    points = [
        (metric.sign * (said.arms[one.arm].confirmed.value or 0.0), one.milliseconds.value or 0.0)
        for one in known
    ]
    front = [one.arm for one, best in zip(known, pareto_front(points), strict=True) if best]
    marked = tuple(replace(one, best=one.arm in front) for one in weighed)
    quick = sorted(
        (one for one in marked if one.best), key=lambda one: one.milliseconds.value or 0.0
    )
    told = "; ".join(
        f"{question.arms[one.arm].name} ({scored(said.arms[one.arm].confirmed, metric)}, "
        f"{one.milliseconds.value:.3g} ms, {_weights(one.weights)} weights)"
        for one in quick
    )
    verdict = f"Pareto front of score and latency: {told}. {said.verdict}" if told else said.verdict
    return replace(said, weighed=marked, verdict=verdict)


def _weights(count: int) -> str:
    return f"{count / 1e6:.2f} million" if count >= 1e5 else f"{count:,}"


def remaining(said: Answer) -> tuple[int, ...]:
    """Return the arms that are worth fine-tuning: those on the front, the quickest first."""
    front = sorted(
        (one for one in said.weighed if one.best), key=lambda one: one.milliseconds.value or 0.0
    )
    return tuple(one.arm for one in front)[:MOST_FOLLOWED]
