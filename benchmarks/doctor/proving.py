"""How often experiments confirm what is true and refute what is not, and what the proved change is worth."""

import random
import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affinage.diagnosis.diagnose import diagnose
from affinage.diagnosis.rules import RULES
from affinage.metrics.intervals import wilson
from affinage.metrics.paired_runs import paired_mean
from affinage.records.finding import Finding
from affinage.records.verdict import Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import can_be_opened
from affinage.watching.live import Live
from affinage.watching.pools import Pool, pool_of
from affinage.watching.trials import accuracy_after
from affinage.watching.watch import Watched
from affinage.workflows.experiments import changes_for
from affinage.workflows.prove import prove
from benchmarks.doctor.cases import Case
from benchmarks.doctor.faults import FAULTS
from benchmarks.doctor.running import watched
from benchmarks.doctor.scoring import CONSEQUENCES

_SECONDS = 240.0
"""Wall-clock, for all findings of a training: more than the product's, as this machine is shared."""
_TRAININGS, _STEPS = 10, 60
"""What one proof takes, and so what the random search may: 5 pairs of trainings of 60 steps."""
_SEEDS = 3
"""Trainings whose mean is a score of a change: of one, 150 images tell no better than to 4 points."""
_CRIED = 4
"""Findings put into the doctor's mouth, for each healthy training."""
_OWN_TWINS = {"deep_sigmoid": "mlp", "deep_wild": "mlp", "bottleneck": "mlp", "linear_stack": "mlp"}
_COUNT_TWINS = {
    "stretched in the loss": "accuracy on counts",
    "softmax under squared error on counts": "softmax left out",
}
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
        fixed: Code of the proved change; scores on validation, means over the same seeds and taken in the
            same way: healthy twin, as it was, changed, and with what a random search found.
    """

    fault: str
    marks: list[tuple[str, bool, str, bool]] = field(default_factory=list)
    cried: list[tuple[str, str]] = field(default_factory=list)
    fixed: tuple[str, float, float, float, float] | None = None


def examine(case: Case, samples: Path, cache: Path) -> Proof:
    """Train as the case says, put what the doctor finds to the test, and try its change in full."""
    seen = watched(case, samples, cache)
    proof = Proof(fault=case.fault)
    if not case.fault:
        proof.cried = _cried(seen, case.seed)
    verdicts = diagnose(seen.signals)
    proved = prove(verdicts, seen.live, seen.signals, seconds=_SECONDS)
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
    for verdict in sorted(own, key=_effect, reverse=True):
        if proof.fixed is None:
            proof.fixed = _fixed(case, seen, verdict, samples, cache)
    return proof


def _effect(verdict: Verdict) -> float:
    """Return what the change of a proved finding gains: whoever reads them begins with the largest."""
    effect = verdict.outcome.effect if verdict.outcome is not None else None
    return effect.value if effect is not None and effect.value is not None else 0.0


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
        (proved,) = prove((verdict,), seen.live, seen.signals, seconds=_SECONDS / 8)
        if proved.outcome is not None and proved.outcome.mark != "unconfirmed":
            told.append((proved.code, proved.outcome.mark))
        if len(told) >= _CRIED or time.monotonic() - begun > _SECONDS:
            break
    return told


def _fixed(
    case: Case, seen: Watched, verdict: Verdict, samples: Path, cache: Path
) -> tuple[str, float, float, float, float] | None:
    assert seen.live is not None
    pair = changes_for(verdict, seen.live, seen.signals)
    train = pool_of(seen.live)
    if pair is None or train is None or not seen.signals.steps:
        return None
    twin = watched(
        replace(
            case, fault=_COUNT_TWINS.get(case.fault, ""),
            network=_OWN_TWINS.get(case.network, case.network),
        ),
        samples, cache,
    )  # fmt: skip
    assert twin.live is not None
    judged = pool_of(twin.live, "validation")
    if judged is None or twin.live.main is None:
        return None
    own = pool_of(twin.live)
    if own is None:
        return None
    found = _random_search(seen, train, pair[0], case.seed)

    def mean_score(live: Live, pool: Pool, change: Change) -> float:
        return statistics.fmean(
            accuracy_after(
                live, pool, change, seed=seed, steps=seen.signals.steps or 0,
                deadline=time.monotonic() + _SECONDS, on=judged,
            )
            for seed in range(_SEEDS)
        )  # fmt: skip

    as_it_was, changed, searched = (
        mean_score(seen.live, train, change) for change in (*pair, found)
    )
    return verdict.code, mean_score(twin.live, own, Change()), as_it_was, changed, searched


def _random_search(seen: Watched, train: Pool, faulty: Change, seed: int) -> Change:
    """Return the best of as many random changes as a proof takes trainings, each of one thing."""
    assert seen.live is not None
    generator, best = random.Random(seed), (-1.0, faulty)
    openable = can_be_opened(seen.live, train)
    for number in range(_TRAININGS):
        change = replace(faulty, **_draw(generator, openable=openable))
        value = accuracy_after(
            seen.live, train, change, seed=number, steps=min(_STEPS, seen.signals.steps or _STEPS),
            deadline=time.monotonic() + _SECONDS,
        )  # fmt: skip
        best = max(best, (value, change), key=lambda pair: pair[0])
    return best[1]


def _draw(generator: random.Random, *, openable: bool) -> dict[str, Any]:
    """Return one of the changes that proofs make, at random."""
    choices: list[dict[str, Any]] = [
        {"rate": 10 ** generator.uniform(-3, 3)}, {"shuffle": True}, {"zero": True}, {"decay": 0.0},
        {"dropout": False}, {"clip": 1.0}, {"trained": "all"}, {"rates": ()}, {"aligned": True},
        {"activation": "leaky", "fresh": True}, {"activation": "relu", "fresh": True},
        {"between": True}, {"head": 10 ** generator.uniform(-3, 0)}, {"balance": True},
        {"batch": 32, "chunk": 0}, {"plain": True},
    ]  # fmt: skip
    return generator.choice([*choices, {"open_output": True}] if openable else choices)


def figures(proofs: list[Proof]) -> list[str]:
    """Return the rates as lines, with their intervals."""
    marks = [mark for proof in proofs for mark in proof.marks]
    lines = [f"{len(proofs)} trainings ({sum(not p.fault for p in proofs)} of them healthy)"]
    true = [m for m in marks if m[1]]
    lines.append(f"true findings proved   {_share([m[2] == 'proved' for m in true])}")
    lines.append(f"  of them by showing   {sum(m[3] and m[2] == 'proved' for m in true)}")
    lines.append(f"  by effect            {sum(not m[3] and m[2] == 'proved' for m in true)}")
    false = [m for m in marks if not m[1]]
    lines.append(f"false findings proved  {_share([m[2] == 'proved' for m in false])}")
    cried = [one for proof in proofs for one in proof.cried]
    share = _share([mark == "proved" for _, mark in cried])
    lines.append(f"findings put into its mouth in healthy trainings, proved {share}")
    lines += _fixes([p.fixed for p in proofs if p.fixed is not None])
    for title, rows in (("true", true), ("false", false)):
        lines += _by_code(title, [(code, mark) for code, _, mark, _ in rows])
    return lines + _by_code("put into its mouth", cried)


def _fixes(fixes: list[tuple[str, float, float, float, float]]) -> list[str]:
    restored = [changed >= 0.95 * healthy for _, healthy, _, changed, _ in fixes]
    searched = [found >= 0.95 * healthy for _, healthy, _, _, found in fixes]
    gain = paired_mean([changed - found for _, _, _, changed, found in fixes])
    lines = [
        f"proved changes that restore 95 % of the healthy twin {_share(restored)}",
        f"the same by a random search with as many trainings  {_share(searched)}",
    ]
    if gain.low is not None and gain.high is not None:
        lines.append(
            f"change against search, in accuracy {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        )
    lines += [
        f"  {code}: healthy {healthy:.3f}, as it was {before:.3f}, changed {after:.3f}, searched {found:.3f}"
        for code, healthy, before, after, found in sorted(fixes)
    ]
    return lines


def _by_code(title: str, rows: list[tuple[str, str]]) -> list[str]:
    lines = []
    for code in sorted({code for code, _ in rows}):
        own = [mark for each, mark in rows if each == code]
        counts = ", ".join(f"{own.count(mark)} {mark}" for mark in sorted(set(own)))
        lines.append(f"  {title}: {code}: {counts}")
    return lines


def _share(hits: list[bool]) -> str:
    estimate = wilson(sum(hits), len(hits))
    if estimate.value is None:
        return "none yet"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}, n = {len(hits)})"
