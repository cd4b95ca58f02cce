"""Verdict: what the doctor answers to one question about a training."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.plain import to_plain

Answer = Literal["finding", "fine", "unchecked"]
Basis = Literal["fact", "measured", "pattern"]
Mark = Literal["proved", "refuted", "undecided", "unconfirmed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Something else that could explain what was seen.

    Attributes:
        explanation: What it would be.
        against: Why it is less likely here.
    """

    explanation: str
    against: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Numbers for a small plot.

    Attributes:
        name: What they are.
        at: Steps or epochs, ascending.
        values: As many.
    """

    name: str
    at: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """The best of several ways in which a proved cause could be mended.

    Attributes:
        said: What is changed, in words.
        before: Score of the training as it was, 0 to 1.
        after: Score with the change: the mean of `repeats` trainings, as is `before`. The change was chosen
            by it, so it flatters.
        images: On which both are scored; none of them was trained on.
        on: Which images these are: `validation`, or those `held out` of training.
        ways: Changes that were tried.
        trainings: Copies that were trained.
        repeats: Trainings of which a score is the mean.
        steps: Of each.
    """

    said: str
    before: float
    after: float
    images: int
    on: Literal["validation", "held out"]
    ways: int
    trainings: int
    repeats: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an experiment said of a finding.

    Attributes:
        mark: `proved` where the effect's interval lies wholly above `worthwhile`; `refuted` where it lies
            wholly below; `undecided` where it holds it; `unconfirmed` where no experiment was possible.
        said: What was done and what came of it, or why nothing could be done.
        effect: Gain of the changed training over the unchanged one, with its interval.
        worthwhile: The gain from which on the finding counts as the cause.
        by_showing: Whether a fact was looked at again, and is so or not so; no effect is claimed then.
        seconds: What the experiment took.
        remedy: The best of several ways to mend it; None where none was looked for.
    """

    mark: Mark
    said: str
    effect: Estimate | None = None
    worthwhile: float = 0.0
    by_showing: bool = False
    seconds: float = 0.0
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One rule's answer.

    Attributes:
        code: The finding that the rule looks for.
        answer: `finding`; `fine`: looked for and not there; `unchecked`: could not be looked for.
        said: One sentence: what was found, what was looked at, or *because* of what it was not checked.
        finding: Where the answer is `finding`.
        confidence: How often such a finding names a fault that is there, 0 to 1, fitted on the tuning
            part of the fault benchmark.
        basis: How it is known: `fact` of the configuration, `measured` numbers of this training, or the
            `pattern` of a curve.
        cases: Findings of this code in that part; with none the confidence is that of its kind.
        where: Layers, parts, classes or epochs that it speaks of.
        alternatives: What else could explain it.
        experiment: What would refute it, in one sentence.
        explained_by: Codes of findings of which this one may be a consequence.
        changes: Of a recipe that would mend it, by setting: a value, or a factor on the present one such as
            `x0.1`.
        traces: For small plots.
        outcome: Of the experiment; None where it was not asked for.
    """

    code: str
    answer: Answer
    said: str
    finding: Finding | None = None
    confidence: float | None = None
    basis: Basis | None = None
    cases: int = 0
    where: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    experiment: str = ""
    explained_by: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    traces: tuple[Trace, ...] = ()
    outcome: Outcome | None = None


def verdict_to_json(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as plain JSON values."""
    plain: dict[str, object] = to_plain(verdict)
    return plain
