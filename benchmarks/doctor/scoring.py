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
    """Counts over one part of the cases.

    Attributes:
        named: Whether each faulty run was named, by fault.
        right: Findings that were right.
        false: Findings that were not.
        healthy: Healthy runs.
        alarmed: Those with a finding above "note", and its codes.
        wrong: Faults with the code of a false finding.
        grades: Whether findings above "note" were right, by their confidence.
        loud: The same, by their code.
    """

    named: dict[str, list[bool]] = field(default_factory=dict)
    right: int = 0
    false: int = 0
    healthy: int = 0
    alarmed: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    grades: dict[float, list[bool]] = field(default_factory=dict)
    loud: dict[str, list[bool]] = field(default_factory=dict)


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
                    tally.loud.setdefault(found.code, []).append(False)
            continue
        right = FAULTS[case.fault].right
        tally.named.setdefault(case.fault, []).append(any(f.code in right for _, f in findings))
        for verdict, found in findings:
            hit = found.code in right
            beside = found.code in CONSEQUENCES | FAULTS[case.fault].also
            if not hit and (found.severity == "note" or beside):
                continue
            tally.right, tally.false = tally.right + hit, tally.false + (not hit)
            if found.severity != "note":
                tally.grades.setdefault(verdict.confidence or 0, []).append(hit)
                tally.loud.setdefault(found.code, []).append(hit)
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
    rows += _calibration(tally.grades)
    rows += [f"  {sum(r)}/{len(r)} {fault}" for fault, r in sorted(tally.named.items())]
    return rows


def _calibration(grades: dict[float, list[bool]]) -> list[str]:
    """Return the calibration error over bins of 5 points, each with what it promised and what it held."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for share, hits in grades.items():
        bins.setdefault(int(share * 20), []).extend((share, hit) for hit in hits)
    n = sum(map(len, bins.values()))
    error = sum(abs(sum(hit - share for share, hit in pairs)) for pairs in bins.values())
    rows = [f"calibration error of confidences {error / max(n, 1):.3f} (n = {n})"]
    for number, pairs in sorted(bins.items()):
        promised = sum(share for share, _ in pairs) / len(pairs)
        held = sum(hit for _, hit in pairs)
        rows.append(
            f"  {number * 5} to {number * 5 + 5} %: said {promised:.3f}, right {held} of {len(pairs)}"
        )
    return rows


def fitted(tally: Tally) -> list[str]:
    """Return the lines of `affinage.diagnosis.confidence.RIGHT_BY_CODE`."""
    return [
        f'    "{code}": ({sum(hits)}, {len(hits)}),' for code, hits in sorted(tally.loud.items())
    ]


def _words(estimate: object) -> str:
    value, low, high, n = (getattr(estimate, name) for name in ("value", "low", "high", "n"))
    return "no runs" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f}), n = {n}"
