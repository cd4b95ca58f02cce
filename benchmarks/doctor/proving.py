"""How often experiments confirm what is true and refute what is not."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from affinage.diagnosis.diagnose import diagnose
from affinage.diagnosis.rules import RULES
from affinage.records.finding import Finding
from affinage.records.verdict import Verdict
from affinage.watching.watch import Watched
from affinage.workflows.prove import gain, prove
from benchmarks.doctor.cases import Case
from benchmarks.doctor.faults import FAULTS
from benchmarks.doctor.mending import Mended, mended_case, mending_figures, share_of
from benchmarks.doctor.running import watched
from benchmarks.doctor.scoring import CONSEQUENCES

_SECONDS = 240.0
"""Wall-clock, for all findings of a training: more than the product's, as this machine is shared."""
_CRIED = 4
"""Findings put into the doctor's mouth, for each healthy training."""
_TRUE_WHEREVER = frozenset({
    "label-encoding-mismatch", "learning-rate-too-low", "not-converged", "accuracy-on-counts",
    "metric-rounded-too-late", "broadcast-in-loss",
})  # fmt: skip
"""Not put into a mouth: a healthy training too may learn faster with a higher rate or on more steps, and
counts are not there."""


@dataclass(slots=True)
class Proof:
    """What experiments said of one training.

    Attributes:
        fault: Of the case; empty for a healthy one.
        marks: Code, whether it was right, mark, and whether it was by showing, of every finding above
            "note" (and notes with a right code).
        cried: Code and mark of findings that were put into the doctor's mouth.
        mended: What the proved finding's change is worth; None where nothing was proved that a change mends.
    """

    fault: str
    marks: list[tuple[str, bool, str, bool]] = field(default_factory=list)
    cried: list[tuple[str, str]] = field(default_factory=list)
    mended: Mended | None = None


def examine(case: Case, samples: Path, cache: Path) -> Proof:
    """Train as the case says, put what the doctor finds to the test, and try its change in full."""
    seen = watched(case, samples, cache)
    proof = Proof(fault=case.fault)
    if not case.fault:
        proof.cried = _cried(seen, case.seed)
    verdicts = diagnose(seen.signals)
    proved = prove(verdicts, seen.live, seen.signals, seconds=_SECONDS, remedies=False)
    spec = FAULTS.get(case.fault)
    true = spec.right if spec else frozenset()
    beside = CONSEQUENCES | (spec.also if spec else frozenset())
    for verdict in proved:
        hit = verdict.code in true
        loud = verdict.finding is not None and verdict.finding.severity != "note"
        if verdict.outcome is None or not (hit or (loud and verdict.code not in beside)):
            continue
        outcome = verdict.outcome
        proof.marks.append((verdict.code, hit, outcome.mark, outcome.by_showing))
    own = [v for v in proved if v.code in true and v.outcome and v.outcome.mark == "proved"]
    for verdict in sorted(own, key=gain, reverse=True):
        if proof.mended is None:
            proof.mended = mended_case(case, seen, verdict, samples, cache)
    return proof


def mend_again(proof: Proof, case: Case, samples: Path, cache: Path) -> None:
    """Find anew what the change of a finding that was proved before is worth."""
    proved = {code for code, hit, mark, _ in proof.marks if hit and mark == "proved"}
    seen = watched(case, samples, cache)
    for verdict in diagnose(seen.signals):
        if proof.mended is None and verdict.code in proved and verdict.finding is not None:
            proof.mended = mended_case(case, seen, verdict, samples, cache)


def _cried(seen: Watched, seed: int) -> list[tuple[str, str]]:
    """Put findings into the doctor's mouth that a healthy training has not earned."""
    generator = random.Random(seed)
    codes = [rule.code for rule in RULES if rule.code not in CONSEQUENCES | _TRUE_WHEREVER]
    layers = tuple(layer.name for layer in seen.signals.layers or ())
    norms = tuple(norm.name for norm in seen.signals.batchnorms or ())
    verdicts = [
        Verdict(
            code=code, answer="finding", said="", where=norms if "batchnorm" in code else layers,
            finding=Finding(code=code, severity="warning", subject="", remedy=""),
        )
        for code in generator.sample(codes, len(codes))
    ]  # fmt: skip
    told, begun = [], time.monotonic()
    for verdict in verdicts:
        (proved,) = prove((verdict,), seen.live, seen.signals, seconds=_SECONDS / 8, remedies=False)
        if proved.outcome is not None and proved.outcome.mark != "unconfirmed":
            told.append((proved.code, proved.outcome.mark))
        if len(told) >= _CRIED or time.monotonic() - begun > _SECONDS:
            break
    return told


def figures(proofs: list[Proof]) -> list[str]:
    """Return the rates as lines, with their intervals."""
    marks = [mark for proof in proofs for mark in proof.marks]
    lines = [f"{len(proofs)} trainings ({sum(not p.fault for p in proofs)} of them healthy)"]
    true = [m for m in marks if m[1]]
    lines.append(f"true findings proved   {share_of([m[2] == 'proved' for m in true])}")
    lines.append(f"  of them by showing   {sum(m[3] and m[2] == 'proved' for m in true)}")
    lines.append(f"  by effect            {sum(not m[3] and m[2] == 'proved' for m in true)}")
    false = [m for m in marks if not m[1]]
    lines.append(f"false findings proved  {share_of([m[2] == 'proved' for m in false])}")
    cried = [one for proof in proofs for one in proof.cried]
    share = share_of([mark == "proved" for _, mark in cried])
    lines.append(f"findings put into its mouth in healthy trainings, proved {share}")
    lines += mending_figures([p.mended for p in proofs if p.mended is not None])
    for title, rows in (("true", true), ("false", false)):
        lines += _by_code(title, [(code, mark) for code, _, mark, _ in rows])
    return lines + _by_code("put into its mouth", cried)


def _by_code(title: str, rows: list[tuple[str, str]]) -> list[str]:
    lines = []
    for code in sorted({code for code, _ in rows}):
        own = [mark for each, mark in rows if each == code]
        counts = ", ".join(f"{own.count(mark)} {mark}" for mark in sorted(set(own)))
        lines.append(f"  {title}: {code}: {counts}")
    return lines
