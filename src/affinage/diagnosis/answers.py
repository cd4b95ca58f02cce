"""The three answers that a rule can give."""

from collections.abc import Callable
from dataclasses import dataclass

from affinage.records.finding import Severity
from affinage.records.signals import Signals
from affinage.records.verdict import Alternative, Basis, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The fault is there.

    Attributes:
        subject: One sentence with its numbers.
        evidence: Lines that let the reader check.
        remedy: One thing to do.
        grade: How this is known: from the configuration, from numbers of this training, or from the shape of
            a curve.
        where: Layers, parts, classes or epochs.
        severity: Where it differs from the rule's own.
        alternatives: What else could explain it.
        changes: Of a recipe, by setting.
        traces: For small plots.
    """

    subject: str
    remedy: str
    grade: Basis
    evidence: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    severity: Severity | None = None
    alternatives: tuple[Alternative, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True)
class Fine:
    """It was looked for and is not there; `said` is what was looked at."""

    said: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """It could not be looked for, *because* of `reason`."""

    reason: str


Answered = Found | Fine | Unchecked


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One question about a training.

    Attributes:
        code: Of the finding.
        severity: Of the finding, unless the case says otherwise.
        judge: Reads signals and answers.
        needs: Fields of `Signals` without which it cannot be asked.
        experiment: What would refute a finding, in one sentence.
        symptom: Whether it may be the consequence of another fault.
    """

    code: str
    severity: Severity
    judge: Callable[[Signals], Answered]
    needs: tuple[str, ...] = ()
    experiment: str = ""
    symptom: bool = False


def otherwise(explanation: str, against: str) -> tuple[Alternative, ...]:
    """Return the one other explanation, with what speaks against it."""
    return (Alternative(explanation=explanation, against=against),)
