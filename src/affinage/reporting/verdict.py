"""The verdict: one honest sentence, and its tone."""

from typing import Literal

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.estimate import Estimate
from affinage.records.evaluation import Evaluation, GoalAnswer
from affinage.records.run import RunRecord
from affinage.reporting.voices import voice_of
from affinage.reporting.words import count, estimated, interval, label, percent

Tone = Literal["good", "caution", "bad", "neutral"]

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
}
BASELINES = {
    "largest_class": "always naming the largest class",
    "nearest_neighbour": "the nearest training image on frozen features",
}


_LEAKS = ("twins-across-parts", "leaks-across-parts", "group-across-parts", "start-has-seen-test")
_SEEN = "some of which it has seen before, in a copy or in a group that stands in two parts"


def deciding(run: RunRecord) -> AnyEvaluation | None:
    """Return the scores that speak for the run: of test, else of validation."""
    return run.evaluations.get("test") or run.evaluations.get("validation")


def run_verdict(run: RunRecord) -> tuple[str, Tone]:
    """Return what the run's score is worth, in one sentence, and its tone."""
    evaluation = deciding(run)
    if evaluation is None:
        return "Nothing was measured, so nothing can be said of this model.", "caution"
    blocking = sum(finding.severity == "blocking" for finding in run.findings)
    core, *others = _core_and_baselines(run, evaluation)
    if any(finding.code in _LEAKS and finding.severity != "note" for finding in run.findings):
        core = core.replace(" it had never seen", f", {_SEEN}")
    clauses = [
        core,
        *others,
        *_looks(run, evaluation),
        *([goal_clause(run.goal)] if run.goal is not None else []),
    ]
    text = "; ".join(clauses)
    if blocking:
        settled = "is settled" if blocking == 1 else "are settled"
        text = (
            f"Do not rely on this score before {count(blocking, 'blocking finding')} {settled}: "
            f"{text[0].lower()}{text[1:]}"
        )
    return f"{text}.", _tone(run, evaluation, blocking=blocking)


def _core_and_baselines(run: RunRecord, evaluation: AnyEvaluation) -> list[str]:
    voice = voice_of(evaluation)
    if voice is not None:
        return [voice.core(evaluation), *voice.against_baselines(evaluation)]
    assert isinstance(evaluation, Evaluation)
    return [_core(run, evaluation), *_against_baselines(evaluation)]


def evaluation_verdict(run: str, evaluation: AnyEvaluation) -> tuple[str, Tone]:
    """Return what a finished model's score on other images says, and its tone."""
    voice = voice_of(evaluation)
    if voice is not None:
        clauses = [voice.core(evaluation), *voice.against_baselines(evaluation)]
        return f"{run}: {'; '.join(clauses)}.", "neutral" if voice.useful(evaluation) else "bad"
    assert isinstance(evaluation, Evaluation)
    if evaluation.memory_test:
        core = _memory(evaluation)
    else:
        core = f"{run} is right on {_of(evaluation, '')} of {label(evaluation.part)}{_interval(evaluation)}"
    tone: Tone = "neutral"
    if not _beats(evaluation, "largest_class"):
        tone = "bad"
    return f"{'; '.join([core, *_against_baselines(evaluation)])}.", tone


def goal_clause(goal: GoalAnswer) -> str:
    """Return whether the goal was reached, as part of a sentence."""
    asked = f"the goal, {goal_text(goal)},"
    if goal.verdict == "met":
        return f"{asked} is met"
    if goal.verdict == "not met":
        return f"{asked} is not met"
    more = (
        f" (about {count(goal.images_needed, 'image')} would settle it)"
        if goal.images_needed is not None
        else ""
    )
    return f"{asked} can be neither confirmed nor refuted with so few images{more}"


def goal_text(goal: GoalAnswer) -> str:
    """Return what was asked, such as `accuracy ≥ 95 %`."""
    name = METRICS.get(goal.goal.metric, goal.goal.metric.replace("_", " "))
    share = 100 * goal.goal.at_least
    return f"{name} ≥ {share:.6g} %"


def _core(run: RunRecord, evaluation: Evaluation) -> str:
    if evaluation.memory_test:
        return _memory(evaluation)
    if evaluation.part == "test":
        return f"Right on {_of(evaluation, 'test')} it had never seen{_interval(evaluation)}"
    chose = ", which also chose the model" if validation_chose(run) else ""
    right = f"ight on {_of(evaluation, evaluation.part)}{chose}{_interval(evaluation)}"
    if run.split.get("test", 0):
        return f"R{right}; the test part was not measured"
    if chose:
        return f"There is no test part, so this is an optimistic estimate and no proof: r{right}"
    return f"There is no test part, so validation alone must speak: r{right}"


def validation_chose(run: RunRecord) -> bool:
    """Return whether validation had a say in the model: it stops a fine-tuning, and judges it."""
    return any(stage.name != "features" for stage in run.stages)


def _memory(evaluation: Evaluation) -> str:
    return (
        f"A memory test, no forecast: right on {_of(evaluation, '')} that it was trained on, "
        "which says nothing about any other image"
    )


def _of(evaluation: Evaluation, part: str) -> str:
    kind = f"{part} image" if part else "image"
    if evaluation.accuracy.value == 1.0:
        return f"all {count(evaluation.n, kind)}" if evaluation.n > 1 else f"the only {kind}"
    if evaluation.accuracy.value == 0.0:
        return f"none of {count(evaluation.n, kind)}"
    the = "the " if evaluation.memory_test else ""
    return f"{percent(evaluation.accuracy.value, evaluation.n)} of {the}{count(evaluation.n, kind)}"


def _interval(evaluation: Evaluation) -> str:
    return f" (95 % interval {interval(evaluation.accuracy)})"


def _against_baselines(evaluation: Evaluation) -> list[str]:
    """Name the largest class in any case, and say bluntly what the model does not beat."""
    if evaluation.memory_test:
        return []
    clauses: list[str] = []
    largest = evaluation.baselines.get("largest_class")
    if largest is not None and largest.value is not None:
        if not _beats(evaluation, "largest_class"):
            return [_not_beaten(evaluation, "largest_class", largest)]
        clauses.append(f"the largest class alone would score {estimated(largest)}")
    clauses.extend(
        _not_beaten(evaluation, name, baseline)
        for name, baseline in evaluation.baselines.items()
        if name != "largest_class" and not _beats(evaluation, name)
    )
    return clauses


def _not_beaten(evaluation: Evaluation, name: str, baseline: Estimate) -> str:
    rival = BASELINES.get(name, name.replace("_", " "))
    ours, theirs = evaluation.accuracy.value or 0.0, baseline.value or 0.0
    if ours > theirs:
        words = "it is not shown to be better than"
    else:
        words = "that is worse than" if ours < theirs else "that is no better than"
    return f"{words} {rival}, which scores {estimated(baseline)}"


def _beats(evaluation: Evaluation, name: str) -> bool:
    """Return whether it is better than a baseline beyond doubt; True where there is none.

    Image by image where that is known: two models that fail on the same images differ surely by less
    than their own intervals say.
    """
    gain = evaluation.gains.get(name)
    if gain is not None and gain.low is not None:
        return gain.low > 0
    baseline = evaluation.baselines.get(name)
    if baseline is None or baseline.value is None:
        return True
    return evaluation.accuracy.low is not None and evaluation.accuracy.low > baseline.value


def _looks(run: RunRecord, evaluation: AnyEvaluation) -> list[str]:
    if evaluation.part != "test" or len(run.looks) < 2:
        return []
    return [f"this test part has been looked at {len(run.looks)} times, so expect a little less"]


def _tone(run: RunRecord, evaluation: AnyEvaluation, *, blocking: int) -> Tone:
    not_met = run.goal is not None and run.goal.verdict == "not met"
    if blocking or not_met or not _useful(evaluation):
        return "bad"
    undecided = run.goal is not None and run.goal.verdict != "met"
    unproved = evaluation.part != "test" or evaluation.memory_test or len(run.looks) > 1
    return "caution" if undecided or _doubtful(evaluation) or unproved else "good"


def _useful(evaluation: AnyEvaluation) -> bool:
    """Return whether it is better than knowing nothing of the image: for counts, for any class."""
    voice = voice_of(evaluation)
    if voice is not None:
        return voice.useful(evaluation)
    assert isinstance(evaluation, Evaluation)
    return _beats(evaluation, "largest_class")


def _doubtful(evaluation: AnyEvaluation) -> bool:
    """Return whether a baseline is as good: for counts, for any class."""
    voice = voice_of(evaluation)
    if voice is not None:
        return not voice.sure(evaluation)
    assert isinstance(evaluation, Evaluation)
    return any(
        baseline.value is not None
        and evaluation.accuracy.value is not None
        and evaluation.accuracy.value <= baseline.value
        for baseline in evaluation.baselines.values()
    )
