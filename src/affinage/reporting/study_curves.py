"""How the trainings of a study came on, as a section of its page: which converges fastest."""

import math
from collections.abc import Sequence

from affinage.records.answer import Answer
from affinage.records.report import Block, Chart, Line, Section, Table
from affinage.records.study import ArmCurve, StudyRecord
from affinage.reporting.study_figures import Figures
from affinage.reporting.study_run import seconds_of
from affinage.reporting.words import NOTHING, count, number

MOST_DRAWN = 6
"""How many lines a chart tells apart."""

TRAIN, VALIDATION = "train (evaluation mode)", "validation"


def curves_section(
    study: StudyRecord, said: Answer, found: Sequence[ArmCurve], shown: Figures
) -> list[Section]:
    """Return the section of curves; none where no trial was a training.

    Args:
        study: As read from its folder.
        said: Its answer.
        found: Mean curves of its arms.
        shown: How figures read.
    """
    validation = {one.arm: one for one in found if one.on == VALIDATION}
    if not validation:
        return []
    own = next(iter(validation.values())).series == study.question.metric
    shown = shown if own else Figures(share=False)
    blocks: list[Block] = [_reached(study, said, found, shown), _drawn(study, validation, shown)]
    return [Section(title="How the trainings came on", blocks=tuple(blocks))]


def _reached(study: StudyRecord, said: Answer, found: Sequence[ArmCurve], shown: Figures) -> Table:
    """Return what each arm came to, on train and validation, and how soon it had what the first has."""
    validation = {one.arm: one for one in found if one.on == VALIDATION}
    train = {one.arm: one for one in found if one.on == TRAIN}
    first = min(validation)
    goal, named = _best(validation[first], shown), study.question.arms
    rows = []
    for arm, curve in validation.items():
        epochs = _epochs_to(curve, goal, shown)
        whole = curve.points[-1][0]
        seconds = None if epochs is None else said.arms[arm].seconds * epochs / whole
        last = train[arm].points[-1][1] if arm in train else None
        rows.append(
            (
                named[arm].name, shown.score(last), shown.score(curve.points[-1][1]),
                NOTHING if last is None else shown.size(abs(last - curve.points[-1][1])),
                "never" if epochs is None else number(epochs),
                NOTHING if seconds is None else seconds_of(seconds),
            )
        )  # fmt: skip
    series = validation[first].series
    return Table(
        columns=(
            "", f"{series} on train", "on validation", "gap",
            f"epochs to reach {shown.score(goal)}", "seconds to it",
        ),
        rows=tuple(rows),
        caption="After the last epoch, the mean of the seeds, train and validation both in evaluation "
        "mode; a trial's own score is that of the epoch that it kept, so it may be better. "
        f"{shown.score(goal)} is the best that '{named[first].name}' has on validation; the seconds are that "
        "part of a trial's time.",
        numeric=(1, 2, 3, 4, 5),
    )  # fmt: skip


FAR = 3.0
"""An error of a curve that is so many times the greatest at its ends would flatten all others."""


def _drawn(study: StudyRecord, validation: dict[int, ArmCurve], shown: Figures) -> Chart:
    ranked = sorted(validation.values(), key=lambda one: _best(one, shown), reverse=shown.rising)
    limit = _limit(ranked[:MOST_DRAWN], shown)
    lines = tuple(
        Line(
            name=study.question.arms[one.arm].name,
            points=tuple(
                (epoch, shown.plain(value)) for epoch, value in one.points if value <= limit
            ),
        )
        for one in ranked[:MOST_DRAWN]
    )
    far = [value for one in ranked[:MOST_DRAWN] for _, value in one.points if value > limit]
    left = f" Not drawn: {count(len(far), 'point')} of up to {number(max(far))}." if far else ""
    few = f" The best {MOST_DRAWN} are drawn." if len(ranked) > MOST_DRAWN else ""
    return Chart(
        title="Curves on validation",
        x="epochs",
        y=shown.axis(ranked[0].series),
        lines=lines,
        caption=f"The mean of the fresh seeds of each.{few}{left}",
    )


def _limit(curves: Sequence[ArmCurve], shown: Figures) -> float:
    """Return up to where errors are drawn: a training that jumps away for an epoch would hide the others."""
    if shown.rising:
        return math.inf
    ends = [one.points[place][1] for one in curves for place in (0, -1)]
    return FAR * max((end for end in ends if math.isfinite(end)), default=math.inf)


def _best(curve: ArmCurve, shown: Figures) -> float:
    values = [value for _, value in curve.points]
    return max(values) if shown.rising else min(values)


def _epochs_to(curve: ArmCurve, goal: float, shown: Figures) -> float | None:
    """Return after how many epochs a curve has a score; None where it never has."""
    return next(
        (
            epoch
            for epoch, value in curve.points
            if (value >= goal if shown.rising else value <= goal)
        ),
        None,
    )
