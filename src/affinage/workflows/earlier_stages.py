"""What was wrong with the trainings that came before the last one of a script."""

from dataclasses import replace

from affinage.diagnosis.diagnose import diagnose
from affinage.diagnosis.rules import RULES
from affinage.records.signals import Signals
from affinage.records.verdict import Verdict

_CAUSES = tuple(rule for rule in RULES if not rule.symptom)
"""A first stage is often short on purpose: that it learnt little is no fault of it."""


def with_earlier(verdicts: tuple[Verdict, ...], signals: Signals) -> tuple[Verdict, ...]:
    """Return verdicts with the causes that were found in a script's earlier trainings alone.

    Args:
        verdicts: On the last training, findings first.
        signals: Of the last training, which holds those before it.
    """
    findings = tuple(verdict for verdict in verdicts if verdict.finding is not None)
    earlier = _found(signals, {verdict.code for verdict in findings})
    codes = {verdict.code for verdict in (*findings, *earlier)}
    return (*findings, *earlier, *(verdict for verdict in verdicts if verdict.code not in codes))


def _found(signals: Signals, told: set[str]) -> list[Verdict]:
    found = []
    count = len(signals.earlier) + 1
    for number, stage in enumerate(signals.earlier, start=1):
        for verdict in diagnose(stage, rules=_CAUSES):
            if (
                verdict.finding is None
                or verdict.finding.severity == "note"
                or verdict.code in told
            ):
                continue
            told.add(verdict.code)
            found.append(_placed(verdict, f"training {number} of {count}"))
    return found


def _placed(verdict: Verdict, where: str) -> Verdict:
    assert verdict.finding is not None
    subject = f"In {where}: {verdict.finding.subject}"
    finding = replace(verdict.finding, subject=subject)
    return replace(verdict, said=subject, finding=finding, where=(where, *verdict.where))
