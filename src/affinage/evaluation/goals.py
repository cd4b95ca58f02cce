"""Goals declared beforehand, and whether a measurement reaches them."""

import difflib
import math
import re

from affinage.errors import RecipeError
from affinage.metrics.intervals import wilson_bounds
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.estimate import Estimate
from affinage.records.evaluation import Goal, GoalAnswer
from affinage.records.task import Task

MET, NOT_MET, UNSURE = "met", "not met", "too few images to say"
MOST_IMAGES = 1_000_000
_SHAPE = re.compile(r"^\s*([A-Za-z][\w .-]*?)\s*(>=|=>|≥)\s*(\d*[.,]?\d+(?:e-?\d+)?)\s*(%?)\s*$")


def parse_goal(text: str, task: Task) -> Goal:
    """Return the goal in a text such as `accuracy >= 0.95` or `macro-F1 ≥ 90%`.

    Args:
        text: A metric, `>=` or `≥`, and a share in (0, 1] or in percent; names may be
            written with spaces, hyphens and capitals.
        task: Whose goals are allowed.

    Raises:
        RecipeError: If it has another form, the metric is unknown (the nearest is named), or the
            value is out of range.
    """
    match = _SHAPE.match(text)
    if match is None:
        raise RecipeError(
            f"'{text}' is not a goal.", remedy=f'Write it as "{task.goals[0]} >= 0.95".'
        )
    name = re.sub(r"[\s.-]+", "_", match[1].strip().lower())
    if name not in task.goals:
        near = difflib.get_close_matches(name, task.goals, n=1, cutoff=0.0)[0]
        raise RecipeError(
            f"'{match[1]}' is not a metric that a goal can be set for.",
            remedy=f'Write "{near} {match[2]} {match[3]}{match[4]}"; '
            f"there are {', '.join(task.goals)}.",
        )
    value = float(match[3].replace(",", ".")) / (100 if match[4] else 1)
    if not 0 < value <= 1:
        hint = f"{value:g}%" if 1 < value <= 100 and not match[4] else "0.95"
        raise RecipeError(
            f"A goal lies in (0, 1] or in percent, not at {match[3]}{match[4]}.",
            remedy=f'Write "{name} >= {hint}".',
        )
    return Goal(metric=name, at_least=value)


def answer_goal(goal: Goal, evaluation: AnyEvaluation) -> GoalAnswer:
    """Return whether a measurement reaches a goal, or is too small to say.

    It is met where the interval's low end reaches the goal, not met where its high end stays below,
    and otherwise undecided: then `images_needed` says about how many images would settle it if the
    measured value were the true one. In a memory test the images are all there are: the value decides.

    Raises:
        RecipeError: If the evaluation has no such metric.
    """
    estimate = getattr(evaluation, goal.metric, None)
    if not isinstance(estimate, Estimate):
        raise RecipeError(
            f"'{goal.metric}' is not among the scores of this evaluation.",
            remedy="Set the goal on accuracy, balanced_accuracy or macro_f1.",
        )
    if evaluation.memory_test and estimate.value is not None:
        # These images are all there are: nothing is left to be estimated.
        verdict = MET if estimate.value >= goal.at_least else NOT_MET
        return GoalAnswer(goal=goal, verdict=verdict, estimate=estimate, part=evaluation.part)
    if estimate.low is not None and estimate.low >= goal.at_least:
        return GoalAnswer(goal=goal, verdict=MET, estimate=estimate, part=evaluation.part)
    if estimate.high is not None and estimate.high < goal.at_least:
        return GoalAnswer(goal=goal, verdict=NOT_MET, estimate=estimate, part=evaluation.part)
    return GoalAnswer(
        goal=goal,
        verdict=UNSURE,
        estimate=estimate,
        part=evaluation.part,
        images_needed=images_needed(estimate, goal.at_least),
    )


def images_needed(estimate: Estimate, at_least: float) -> int | None:
    """Return about how many images would settle a goal, were the measured value the true one.

    The number at which Wilson's interval of that share no longer holds the goal; for other scores
    than accuracy, scaled by the square of how much wider than Wilson's their interval is.

    Returns:
        More than `estimate.n`; None where no number up to a million would do (the measured value is
        the goal, or the goal is 1).
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    if not _settled(estimate.value, MOST_IMAGES, at_least):
        return None
    few, many = 1, MOST_IMAGES
    while few < many:
        middle = (few + many) // 2
        few, many = (
            (few, middle) if _settled(estimate.value, middle, at_least) else (middle + 1, many)
        )
    low, high = wilson_bounds(round(estimate.value * estimate.n), estimate.n)
    wider = (estimate.high - estimate.low) / (high - low)
    needed = math.ceil(few * max(1.0, wider**2))
    return max(needed, estimate.n + 1) if needed <= MOST_IMAGES else None


def _settled(share: float, n: int, at_least: float) -> bool:
    right = round(share * n) if share < 1 else n
    low, high = wilson_bounds(right, n)
    return low >= at_least or high < at_least
