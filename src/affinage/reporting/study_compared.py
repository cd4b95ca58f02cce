"""What a study compared, as a table of its page: verdict, gain, and what more would tell."""

from affinage.records.answer import Answer, Difference
from affinage.records.report import Table
from affinage.records.study import StudyRecord
from affinage.reporting.study_figures import Figures
from affinage.reporting.words import NOTHING, count, label

COLUMNS = ("compared", "verdict", "gain", "seeds", "bootstrap", "would tell")


def compared(study: StudyRecord, said: Answer, shown: Figures) -> Table:
    """Return every comparison as a row; what would tell stands there where something could not be told.

    Args:
        study: As read from its folder.
        said: Its answer.
        shown: How figures read.
    """
    names = [arm.name for arm in study.question.arms]
    unsure = any(one.says == "cannot tell yet" for one in said.differences)
    kept = len(COLUMNS) - (not unsure)
    rows = [
        (
            names[one.arm], one.says, shown.gain(one.effect), str(one.repeats),
            shown.gain(one.bootstrap), _would_tell(one),
        )[:kept]
        for one in said.differences
    ]  # fmt: skip
    return Table(
        columns=COLUMNS[:kept],
        rows=tuple(rows),
        caption=_caption(study, said, shown),
        numeric=(2, 3, 4),
    )


def _would_tell(one: Difference) -> str:
    """Return how many more repeats or images would probably tell."""
    if one.says != "cannot tell yet":
        return NOTHING
    if one.more_repeats is not None:
        return f"{one.more_repeats:,} more seed{'s' if one.more_repeats != 1 else ''}"
    if one.more_images is not None:
        return f"{count(int(float(f'{one.more_images:.2g}')))} more images"
    return "nothing within reach"


def _caption(study: StudyRecord, said: Answer, shown: Figures) -> str:
    question = study.question
    step = question.design == "add-one"
    against = "the step before" if step else f"'{label(question.arms[0].name)}'"
    levels = [one.level for one in said.differences]
    ends = sorted({f"{100 * level:.2f}" for level in (min(levels), max(levels))})
    return (
        f"Each is compared with {against}. Gains{', in points,' if shown.share else ''} are differences "
        "between the same seeds on the same images, positive where better. Their intervals hold the truth in "
        f"{' to '.join(ends)} % of cases each, so that all looks and comparisons together are wrong in at "
        "most one study of 20. The bootstrap, a second opinion that decides nothing, draws images and seeds "
        "anew, at 95 %."
    )
