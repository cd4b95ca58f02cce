"""What a study has run, arm by arm, as a table of its page."""

from affinage.records.answer import Answer, ArmResult
from affinage.records.report import Table
from affinage.records.study import StudyRecord
from affinage.reporting.study_figures import Figures
from affinage.reporting.words import NOTHING, number

COLUMNS = (
    "", "on fresh seeds [95 %]", "std over seeds", "failed", "s a trial", "tuned to", "best of exploration",
    "tried",
)  # fmt: skip
WORDS = (0, 5)
"""Columns that hold no numbers."""

FAILED = 3
"""The column that is left out where nothing failed."""

TUNED = 3
"""So many of them, the last, are for tuned arms only."""


def what_was_run(study: StudyRecord, said: Answer, shown: Figures) -> Table:
    """Return what each arm scored and cost; what it was tuned to, where something was.

    Args:
        study: As read from its folder.
        said: Its answer.
        shown: How figures read.
    """
    kept = set(range(len(COLUMNS) - (0 if study.question.nuisance else TUNED)))
    if not any(arm.failed for arm in said.arms):
        kept.remove(FAILED)
    rows = [_row(arm, shown) for arm in said.arms]
    return Table(
        columns=tuple(COLUMNS[place] for place in sorted(kept)),
        rows=tuple(tuple(row[place] for place in sorted(kept)) for row in rows),
        numeric=tuple(now for now, place in enumerate(sorted(kept)) if place not in WORDS),
        caption="The best of exploration is too good by luck: it is the best of several. Fresh seeds are not."
        if study.question.nuisance
        else "",
    )


def _row(arm: ArmResult, shown: Figures) -> tuple[str, ...]:
    best = ", ".join(
        f"{key} = {number(value) if isinstance(value, float) else value}" for key, value in arm.best
    )
    spread = NOTHING if arm.spread is None else shown.size(arm.spread)
    return (
        arm.name, shown.estimate(arm.confirmed), spread, str(arm.failed),
        seconds_of(arm.seconds), best or NOTHING, shown.score(arm.explored), str(arm.tried or NOTHING),
    )  # fmt: skip


def seconds_of(value: float) -> str:
    """Return seconds in two digits, or as whole ones."""
    if value < 1:
        return f"{value:.2g}"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
