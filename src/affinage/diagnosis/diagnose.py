"""Signals become verdicts."""

from dataclasses import replace

from affinage.diagnosis.answers import Fine, Found, Rule, Unchecked
from affinage.diagnosis.confidence import confidence
from affinage.diagnosis.rules import RULES
from affinage.records.finding import Finding
from affinage.records.signals import Signals
from affinage.records.verdict import Verdict

_NONE_THERE = {"batchnorms": "the network has no BatchNorm"}
"""What an empty field says: it was looked for, and there is none."""

_RANKS = {"blocking": 0, "warning": 1, "note": 2}


def diagnose(signals: Signals, *, rules: tuple[Rule, ...] = RULES) -> tuple[Verdict, ...]:
    """Return one verdict for each rule: findings first, the gravest and surest first.

    A symptom that a graver finding explains becomes a note, and names it.
    """
    verdicts = [ask(rule, signals) for rule in rules]
    explained = _explained(verdicts, {rule.code for rule in rules if rule.symptom})
    return tuple(sorted(explained, key=_place))


def ask(rule: Rule, signals: Signals) -> Verdict:
    """Return one rule's answer."""
    for name in rule.needs:
        if getattr(signals, name) == () and name in _NONE_THERE:
            return Verdict(code=rule.code, answer="fine", said=_NONE_THERE[name])
        if getattr(signals, name) in (None, ()):
            return Verdict(code=rule.code, answer="unchecked", said=signals.why_missing(name))
    answer = rule.judge(signals)
    match answer:
        case Fine(said):
            return Verdict(code=rule.code, answer="fine", said=said)
        case Unchecked(reason):
            return Verdict(code=rule.code, answer="unchecked", said=reason)
        case Found():
            return _found(rule, answer)


def _found(rule: Rule, answer: Found) -> Verdict:
    finding = Finding(
        code=rule.code,
        severity=answer.severity or rule.severity,
        subject=answer.subject,
        evidence=answer.evidence,
        remedy=answer.remedy,
    )
    share, cases = confidence(rule.code)
    return Verdict(
        code=rule.code,
        answer="finding",
        said=answer.subject,
        finding=finding,
        confidence=round(share, 3),
        basis=answer.grade,
        cases=cases,
        where=answer.where,
        alternatives=answer.alternatives,
        experiment=rule.experiment,
        changes=answer.changes,
        traces=answer.traces,
    )


def _explained(verdicts: list[Verdict], symptoms: set[str]) -> list[Verdict]:
    causes = tuple(
        v.code
        for v in verdicts
        if v.finding is not None and v.finding.severity != "note" and v.code not in symptoms
    )
    if not causes:
        return _first_symptom(verdicts, symptoms)
    return [_lowered(v, causes) if v.code in symptoms else v for v in verdicts]


def _first_symptom(verdicts: list[Verdict], symptoms: set[str]) -> list[Verdict]:
    """Where no cause is known, the nearest to a cause explains the later symptoms."""
    first = next(
        (
            v.code
            for v in verdicts
            if v.finding and v.finding.severity != "note" and v.code in symptoms
        ),
        None,
    )
    if first is None:
        return verdicts
    return [
        _lowered(v, (first,)) if v.code in symptoms and v.code != first else v for v in verdicts
    ]


def _lowered(verdict: Verdict, causes: tuple[str, ...]) -> Verdict:
    if verdict.finding is None:
        return verdict
    return replace(verdict, finding=replace(verdict.finding, severity="note"), explained_by=causes)


def _place(verdict: Verdict) -> tuple[int, int, float]:
    if verdict.finding is None:
        return (1 if verdict.answer == "fine" else 2, 0, 0.0)
    return (0, _RANKS[verdict.finding.severity], -(verdict.confidence or 0.0))
