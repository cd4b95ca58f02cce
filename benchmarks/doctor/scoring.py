"""Judge stored signals, and count."""

from dataclasses import dataclass, field

from affinage.diagnosis.diagnose import diagnose
from affinage.metrics.intervals import wilson
from affinage.records.signals import Signals
from benchmarks.doctor.cases import Case
from benchmarks.doctor.faults import FAULTS

CONSEQUENCES = frozenset({
    "no-better-than-baseline", "underfitting", "overfitting", "memorising", "not-converged",
    "rare-classes-lost", "outputs-collapsed", "modes-measured-differently", "loss-falls-metric-stands",
})  # fmt: skip
"""True of a faulty training, though they do not name its fault: neither right nor false."""


@dataclass(slots=True)
class Tally:
    """Counts over one part of the cases."""

    named: dict[str, list[bool]] = field(default_factory=dict)
    right: int = 0
    false: int = 0
    healthy: int = 0
    alarmed: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    grades: dict[float, list[bool]] = field(default_factory=dict)


def judge(cases: list[tuple[Case, Signals]]) -> Tally:
    """Return what the doctor says of stored signals, counted.

    A faulty run is *named* where any finding has a right code, notes included. Precision counts findings
    above "note" (and notes with a right code); those that are only a consequence count for neither.
    """
    tally = Tally()
    for case, signals in cases:
        findings = [(v, v.finding) for v in diagnose(signals) if v.finding is not None]
        if not case.fault:
            loud = [f.code for _, f in findings if f.severity != "note"]
            tally.healthy += 1
            if loud:
                tally.alarmed.append((case.name, ", ".join(loud)))
            for verdict, found in findings:
                if found.severity != "note":
                    tally.grades.setdefault(verdict.confidence or 0, []).append(False)
            continue
        right = FAULTS[case.fault].right
        tally.named.setdefault(case.fault, []).append(any(f.code in right for _, f in findings))
        for verdict, found in findings:
            hit = found.code in right
            beside = found.code in CONSEQUENCES | FAULTS[case.fault].also
            if not hit and (found.severity == "note" or beside):
                continue
            tally.right, tally.false = tally.right + hit, tally.false + (not hit)
            tally.grades.setdefault(verdict.confidence or 0, []).append(hit)
            if not hit:
                tally.wrong.append((case.fault, found.code))
    return tally


def lines(tally: Tally) -> list[str]:
    """Return the figures as lines."""
    hits = [hit for runs in tally.named.values() for hit in runs]
    recall, precision = wilson(sum(hits), len(hits)), wilson(tally.right, tally.right + tally.false)
    alarms = wilson(len(tally.alarmed), tally.healthy)
    rows = [
        f"recall    {_words(recall)}",
        f"precision {_words(precision)} findings",
        f"healthy runs with a finding above note {_words(alarms)}",
    ]
    error = sum(abs(sum(g) - c * len(g)) for c, g in tally.grades.items())
    n = sum(len(g) for g in tally.grades.values())
    rows.append(f"calibration error of confidences {error / max(n, 1):.3f} (n = {n})")
    rows += [
        f"  confidence {c:.2f}: right {sum(g)} of {len(g)}" for c, g in sorted(tally.grades.items())
    ]
    rows += [f"  {sum(r)}/{len(r)} {fault}" for fault, r in sorted(tally.named.items())]
    return rows


def _words(estimate: object) -> str:
    value, low, high, n = (getattr(estimate, name) for name in ("value", "low", "high", "n"))
    return "no runs" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f}), n = {n}"
