"""A study's verdict in a sentence, and what to ask next."""

from collections.abc import Sequence

from affinage.records.answer import ArmResult, Difference, Extrapolated
from affinage.records.finding import Finding
from affinage.records.question import Question, Settings
from affinage.records.study import Announced
from affinage.studies.asking import CLASSES, IMAGES_PER_CLASS, setting, word
from affinage.studies.judging import amount, brief, scored
from affinage.studies.scoring import METRICS, Metric


def verdict_of(
    question: Question, decided: Sequence[Difference], arms: Sequence[ArmResult], *, finished: bool
) -> str:
    """Return what a study found, in a sentence or two.

    Args:
        question: What was asked.
        decided: One for each comparison that was looked at.
        arms: What each scored.
        finished: Whether there is nothing more to come.
    """
    if len(question.arms) == 1 and arms[0].confirmed.value is not None:
        return _tuned(question, arms[0])
    if not decided:
        known = [arm for arm in arms if arm.confirmed.value is not None]
        said = f"{len(known)} of {len(arms)} could be scored on fresh seeds; nothing was compared."
        return said if finished else f"No answer yet: {said}"
    if len(decided) == 1:
        return decided[0].sentence
    told = {
        says: [_gained(question, one) for one in decided if one.says == says]
        for says in ("helps", "hurts", "no difference", "cannot tell yet")
    }
    words = {"no difference": "no difference that matters"}
    parts = [
        f"{words.get(says, says)}: {', '.join(names)}" for says, names in told.items() if names
    ]
    return f"Against {_reference(question)}: {'; '.join(parts)}."


def _gained(question: Question, one: Difference) -> str:
    """Return an arm's name, with what it gains where that is more than chance."""
    name, found = question.arms[one.arm].name, brief(one.effect, METRICS[question.metric])
    return f"'{name}' ({found})" if one.says in ("helps", "hurts") and found else f"'{name}'"


def _reference(question: Question) -> str:
    """Return what others are compared with, with the names of its settings where all have the same."""
    if question.design == "add-one":
        return "the step before"
    keys = {tuple(key for key, _ in arm.settings) for arm in question.arms}
    first = question.arms[0]
    if len(keys) > 1 or not first.settings:
        return f"'{first.name}'"
    return ", ".join(f"{key} = {word(value)}" for key, value in first.settings)


def _tuned(question: Question, arm: ArmResult) -> str:
    """Return what tuning alone has found, with the part of it that was luck."""
    metric, one = METRICS[question.metric], arm.confirmed
    best = ", ".join(f"{key} = {word(value)}" for key, value in arm.best)
    luck = metric.sign * ((arm.explored or 0.0) - (one.value or 0.0))
    images = f", n = {one.n:,}" if one.n > 1 else ""
    figures = f"{scored(one, metric)} on {arm.seeds} fresh seeds{images}"
    lucky = f"; {amount(luck, metric)} less than in exploration, which was luck" if luck > 0 else ""
    return f"Best of {arm.tried} settings: {best}: {figures}{lucky}."


def next_question(
    question: Question,
    announced: Announced,
    decided: Sequence[Difference],
    arms: Sequence[ArmResult],
    findings: Sequence[Finding],
    carried_on: Sequence[Extrapolated],
) -> str:
    """Return what to ask next: first what may have made this answer wrong."""
    bound = next((one for one in findings if one.code == "optimum-at-bound"), None)
    if bound is not None:
        return bound.remedy
    unsure = [one for one in decided if one.says == "cannot tell yet"]
    if unsure:
        return _to_tell(unsure, announced, METRICS[question.metric])
    helping = [one for one in decided if one.says == "helps"]
    if helping:
        best = max(helping, key=lambda one: one.effect.value or 0.0)
        told = as_flags(question, (*arms[best.arm].best, *question.arms[best.arm].settings))
        return (
            f"Train with what helps, and look at the test part once: affinage train SOURCE {told}"
        )
    if carried_on and carried_on[0].sentence:
        return f"Is that worth the labels? {carried_on[0].sentence}"
    if decided and all(one.says == "hurts" for one in decided):
        return f"Keep {_reference(question)}, and vary something else."
    return "Keep what is cheapest, and vary something else."


def as_flags(question: Question, settings: Settings) -> str:
    """Return what `affinage train` is to be given to train as a trial did: `--set KEY=VALUE` for each."""
    own = [setting(key, value) for key, value in settings if key not in (IMAGES_PER_CLASS, CLASSES)]
    return " ".join(f"--set {one}" for one in (*question.fixed, *own))


def _to_tell(unsure: Sequence[Difference], announced: Announced, metric: Metric) -> str:
    """Return what would tell what could not be told."""
    more = [one.more_repeats for one in unsure if one.more_repeats is not None]
    if more:
        repeats = max(one.repeats for one in unsure) + max(more)
        return f"Ask again with --repeats {repeats}, and a budget for them."
    images = max(one.more_images or 0 for one in unsure)
    if images:
        return f"Label about {int(float(f'{images:.2g}')):,} more images, then ask again."
    size = amount(announced.smallest, metric)
    return f"Would a difference of more than {size} do? Ask again with a greater --smallest."
