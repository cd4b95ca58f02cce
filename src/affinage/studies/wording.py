"""A study's verdict in a sentence, and what to ask next."""

from collections.abc import Sequence

from affinage.records.answer import Answer, ArmResult, Difference, Extrapolated, Importance, Says
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.question import Question, Settings
from affinage.records.study import Announced
from affinage.studies.asking import CLASSES, IMAGES_PER_CLASS, setting, told_settings, word
from affinage.studies.judging import amount, brief, equal_within, scored
from affinage.studies.scoring import METRICS, Metric

NAMED = 4
"""So many of one verdict are named in a headline; of more, it has their number."""

LONGEST = 40
"""Letters of a name in a headline."""

PAIR = 0.05
"""Share of the spread from which on two settings of a grid are named as a pair."""


def verdict_of(
    question: Question,
    announced: Announced,
    decided: Sequence[Difference],
    arms: Sequence[ArmResult],
    importance: Sequence[Importance] = (),
    *,
    finished: bool,
) -> str:
    """Return what a study found, in a sentence or two.

    Args:
        question: What was asked.
        announced: What was said after the pilot.
        decided: One for each comparison that was looked at.
        arms: What each scored.
        importance: What the spread of scores goes with.
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
    groups = [
        _together(question, announced, says, those)
        for says in ("helps", "hurts", "no difference", "cannot tell yet")
        if (those := [one for one in decided if one.says == says])
    ]
    told = [f"Against {_reference(question)}: {'; '.join(groups)}."]
    if len(decided) > NAMED:
        told += _best_of_all(question, arms)
    return " ".join([*told, *_spread(question, importance)])


def so_far(question: Question, said: Answer) -> str:
    """Return how far a study has come: the best with its interval, what is still open, what failed."""
    answered = [one for one in said.differences if one.says != "cannot tell yet"]
    told = [best.rstrip(".") for best in _best_of_all(question, said.arms)]
    if said.differences:
        told.append(f"{len(answered)} of {len(said.differences)} answered")
    if said.failed:
        told.append(f"{said.failed} trial{'s' if said.failed > 1 else ''} failed")
    return "; ".join(told).replace("Best on", "best on", 1)


def _together(
    question: Question, announced: Announced, says: Says, those: Sequence[Difference]
) -> str:
    """Return all comparisons of one verdict: their names, or how many they are and what they gain."""
    metric = METRICS[question.metric]
    alike = max((equal_within(question, announced, one.effect) for one in those), default=0.0)
    within = f"no difference larger than {amount(alike, metric)}"
    if len(those) <= NAMED:
        word_of = within if says == "no difference" else says
        return f"{word_of}: {', '.join(_gained(question, one) for one in those)}"
    counted = {"helps": "help", "hurts": "hurt", "no difference": f"make {within}",
               "cannot tell yet": "cannot be told yet"}  # fmt: skip
    if says not in ("helps", "hurts"):
        return f"{len(those)} {counted[says]}"
    ranked = sorted(those, key=lambda one: abs(one.effect.value or 0.0))
    least, most = (brief(one.effect, metric) for one in (ranked[0], ranked[-1]))
    return f"{len(those)} {counted[says]} ({least} to {most})"


def _gained(question: Question, one: Difference) -> str:
    """Return an arm's name, with what it gains where that is more than chance."""
    found = brief(one.effect, METRICS[question.metric])
    name = short(question.arms[one.arm].name)
    return f"'{name}' ({found})" if one.says in ("helps", "hurts") and found else f"'{name}'"


def short(name: str) -> str:
    """Return a name that a headline has room for: of a long one, the words at its beginning."""
    if len(name) <= LONGEST:
        return name
    kept = name[:LONGEST].rsplit(" ", 1)[0]
    return f"{kept} …"


def _best_of_all(question: Question, arms: Sequence[ArmResult]) -> list[str]:
    """Return which has the best mean on fresh seeds; nothing where none was scored."""
    metric = METRICS[question.metric]
    known = [arm for arm in arms if arm.confirmed.value is not None]
    if not known:
        return []
    place = max(
        range(len(arms)),
        key=lambda at: (arms[at] in known, metric.sign * (arms[at].confirmed.value or 0.0)),
    )
    best, settings = arms[place], question.arms[place].settings
    named = told_settings(settings)
    grid = question.design == "compare" and len(settings) > 1
    said = named if grid else f"'{short(best.name)}'"
    return [f"Best on fresh seeds: {said}, {metric.name} {scored(best.confirmed, metric)}."]


def _spread(question: Question, importance: Sequence[Importance]) -> list[str]:
    """Return, of a grid, which of its settings the scores go with."""
    if question.nuisance or not importance:
        return []
    told = [
        f"{_percent(one.share)} {'of the spread of scores goes ' if not place else ''}"
        f"with {' × '.join(one.parameters)}"
        for place, one in enumerate(importance)
        if len(one.parameters) == 1 or (one.share.value or 0) >= PAIR
    ]
    return [f"{', '.join(told)}."] if told else []


def _percent(share: Estimate) -> str:
    told = f"{100 * (share.value or 0):.0f} %"
    if share.low is None or share.high is None:
        return told
    return f"{told} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


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
    best = told_settings(arm.best)
    luck = metric.sign * ((arm.explored or 0.0) - (one.value or 0.0))
    images = f", n = {one.n:,}" if one.n > 1 else ""
    figures = (
        f"{scored(one, metric)} on {arm.seeds} fresh seed{'s' if arm.seeds != 1 else ''}{images}"
    )
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
    if any(_lost(arms[arm], announced) for one in unsure for arm in (one.arm, one.against)):
        return (
            "Trials failed, so that fewer seeds than planned were compared. Mend what they say, and run them "
            "again: affinage study work STUDY --again. Where a limit stopped them, ask with a greater one."
        )
    if unsure:
        return _to_tell(unsure, announced, METRICS[question.metric])
    helping = [one for one in decided if one.says == "helps"]
    if helping:
        best = max(helping, key=lambda one: _rank(question, one, arms))
        told = as_flags(question, (*arms[best.arm].best, *question.arms[best.arm].settings))
        return (
            f"Train with what helps, and look at the test part once: affinage train SOURCE {told}"
        )
    if carried_on and carried_on[0].sentence:
        return f"Is that worth the labels? {carried_on[0].sentence}"
    return _kept(question, decided, arms)


def _kept(question: Question, decided: Sequence[Difference], arms: Sequence[ArmResult]) -> str:
    """Return what to do where nothing helps, or nothing was compared."""
    if len(question.arms) == 1 and arms[0].confirmed.value is not None:
        told = as_flags(question, arms[0].best)
        return f"Train with the best, and look at the test part once: affinage train SOURCE {told}"
    if decided and all((one.bootstrap.low, one.bootstrap.high) == (0.0, 0.0) for one in decided):
        keys = ", ".join(key for key, _ in question.arms[0].settings) or "what was varied"
        return f"Not one image was scored differently: does {keys} act in this recipe at all?"
    if decided and all(one.says == "hurts" for one in decided):
        return f"Keep {_reference(question)}, and vary something else."
    return "Keep what is cheapest, and vary something else."


def _lost(arm: ArmResult, announced: Announced) -> bool:
    """Return whether trials of an arm failed, so that it was scored on fewer seeds than planned."""
    return arm.failed > 0 and arm.seeds < announced.repeats


def _rank(question: Question, one: Difference, arms: Sequence[ArmResult]) -> float:
    """Return how good an arm is beside others that help: rungs of a ladder gain on different steps."""
    if question.design != "add-one":
        return one.effect.value or 0.0
    return METRICS[question.metric].sign * (arms[one.arm].confirmed.value or 0.0)


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
