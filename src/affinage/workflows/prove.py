"""Prove or refute what the doctor found, by experiments on copies of a watched training."""

import time
from dataclasses import replace

from affinage.metrics.intervals import paired_difference
from affinage.metrics.paired_runs import paired_mean
from affinage.records.signals import Signals
from affinage.records.verdict import Outcome, Remedy, Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import can_be_opened
from affinage.watching.live import Live
from affinage.watching.pools import pool_of
from affinage.watching.scaling import own_scale
from affinage.watching.scenes import Fact
from affinage.watching.showing import SHOWS
from affinage.watching.showing_steps import GATES
from affinage.watching.trials import accuracy_after, hits
from affinage.workflows.experiments import BALANCED, Pair, changes_for
from affinage.workflows.measuring import MEASURES, Bench
from affinage.workflows.outcomes import SECONDS, WORTHWHILE, marked, shown, unconfirmed
from affinage.workflows.remedies import mend

PAIRS = 5
STEPS = (60, 240)
"""Of a short look; and of a long one, where the short one proved nothing and time allows."""

_GAP = 0.1
_LEARNT = 0.9
_FEWEST_LONG = 3
"""Pairs of the long look that must fit into the time for it to begin."""
_MORE = 1.6
"""Times as many pairs in the long look as in the short one: what is left for it is small or unsteady."""
_SURE = 0.975
"""Of each of two looks, so that both together err in at most 5 % of cases (Bonferroni)."""
_FEWEST_STEPS = 20


def prove(
    verdicts: tuple[Verdict, ...], live: Live | None, signals: Signals, *,
    seconds: float = SECONDS, pairs: int = PAIRS, remedies: bool = True,
) -> tuple[Verdict, ...]:  # fmt: skip
    """Return verdicts with what experiments say of every finding.

    Where the same training images score otherwise in training than in evaluation mode, that gap is what is
    to be explained: a cause must close at least half of it. Else a cause must let copies of the training,
    paired by seed, learn at least 5 points better; a fault of evaluation must cost validation as much. What
    is a fact (images that two parts share, a class without images) is looked at again, and proved by
    showing it: no effect is claimed then. Of what is proved, the best of several ways to mend it is looked
    for in the time that is left.

    Args:
        verdicts: Of the doctor.
        live: The watched training at rest; None where there is none: then all is unconfirmed.
        signals: Of the same training.
        seconds: For all experiments together.
        pairs: Trainings with and without the fault, for each finding.
        remedies: Whether ways to mend what is proved are compared.
    """
    deadline = time.monotonic() + seconds
    bench = _bench(live, signals, deadline, pairs)
    proved, left = [], sum(v.finding is not None for v in verdicts)
    for verdict in verdicts:
        if verdict.finding is None:
            proved.append(verdict)
            continue
        begun = time.monotonic()
        outcome = _outcome(verdict, _limited(bench, left))
        spent, left = round(time.monotonic() - begun, 2), left - 1
        proved.append(replace(verdict, outcome=replace(outcome, seconds=spent)))
    return _with_remedies(proved, bench) if remedies else tuple(proved)


def _with_remedies(verdicts: list[Verdict], bench: Bench | None) -> tuple[Verdict, ...]:
    """Look for the best way to mend what was proved, in the time that proving has left."""
    causes = [v for v in verdicts if v.outcome is not None and v.outcome.mark == "proved"]
    best, left = {}, len(causes)
    for verdict in sorted(causes, key=gain, reverse=True):
        limited, left = _limited(bench, left), left - 1
        if limited is not None:
            best[verdict.code] = _remedy(verdict, limited)
    return tuple(
        replace(v, outcome=replace(v.outcome, remedy=best.get(v.code))) if v.outcome else v
        for v in verdicts
    )


def gain(verdict: Verdict) -> float:
    """Return what the change of a proved finding gains; 0 where it is not known."""
    effect = verdict.outcome.effect if verdict.outcome is not None else None
    return effect.value if effect is not None and effect.value is not None else 0.0


def _remedy(verdict: Verdict, bench: Bench) -> Remedy | None:
    try:
        return mend(verdict, bench)
    except Exception:  # noqa: BLE001 - a network or loader of anyone's may raise anything.
        return None


def _limited(bench: Bench | None, left: int) -> Bench | None:
    """Return a bench whose time one finding of so many may use: up to two fair shares."""
    if bench is None:
        return None
    now = time.monotonic()
    share = max(bench.deadline - now, 0.0) * 2 / max(left, 2)
    return replace(bench, deadline=min(bench.deadline, now + share))


def _bench(live: Live | None, signals: Signals, deadline: float, pairs: int) -> Bench | None:
    pool = pool_of(live) if live is not None and live.main is not None else None
    if live is None or pool is None:
        return None
    return Bench(
        live=live, train=pool, validation=pool_of(live, "validation"), signals=signals, deadline=deadline,
        pairs=pairs,
    )  # fmt: skip


def _outcome(verdict: Verdict, bench: Bench | None) -> Outcome:
    if bench is None:
        return unconfirmed("there is no watched training with images at hand to experiment on")
    if time.monotonic() > bench.deadline:
        return unconfirmed("the time for experiments was used up")
    try:
        scene = replace(bench.scene(), where=verdict.where)
        show, gate = SHOWS.get(verdict.code), GATES.get(verdict.code)
        fact, passed = (look(scene) if look is not None else None for look in (show, gate))
        for looked in (fact, passed):
            if looked is not None and not looked.holds:
                return shown(looked.said, holds=False)
        tried = _of_gap(verdict, bench) or _tried(verdict, bench)
        return tried if tried.mark == "proved" or fact is None else _shown(fact, tried)
    except Exception as error:  # noqa: BLE001 - a network or loader of anyone's may raise anything.
        return unconfirmed(f"a copy could not be tried: {type(error).__name__}: {error}"[:200])


def _tried(verdict: Verdict, bench: Bench) -> Outcome:
    measure = MEASURES.get(verdict.code)
    if measure is not None:
        return measure(bench)
    changes = changes_for(verdict, bench.live, bench.signals)
    if changes is not None and changes[0] == changes[1]:
        return shown("the training does already what would mend it", holds=False)
    reason = _hindrance(bench, changes)
    return (
        unconfirmed(reason)
        if changes is None or reason
        else _learns_better(bench, changes, verdict.code)
    )


def _shown(fact: Fact, tried: Outcome) -> Outcome:
    """Return that it is so, with what trying a change of it gave."""
    outcome = shown(fact.said, holds=fact.holds)
    if tried.effect is None:
        return outcome
    costs = "what it costs was tried too, and cannot be told yet"
    if tried.mark == "refuted":
        costs = "what it costs was tried too, and is little"
    return replace(
        outcome, said=f"{outcome.said} {costs[:1].upper()}{costs[1:]}: {tried.said.rsplit(';', 1)[0]}.",
        effect=tried.effect, worthwhile=tried.worthwhile,
    )  # fmt: skip


def _hindrance(bench: Bench, changes: Pair | None) -> str:
    if changes is None:
        return "no experiment on a copy can tell; see what would refute it"
    if bench.live.criterion is None or not bench.live.optimizers:
        return "the loss or the optimizer of the training is not known"
    if changes[1].open_output and not can_be_opened(bench.live, bench.train):
        return "the activation at the output cannot be left out in a copy"
    return ""


def _of_gap(verdict: Verdict, bench: Bench) -> Outcome | None:
    """Measure the gap between the modes, and what of it the change closes; None where there is no gap."""
    change = _closing(verdict, bench.signals)
    if change is None:
        return None
    live, pool = bench.live, bench.train
    as_trained = hits(live, pool, training=True, change=Change())
    at_rest = hits(live, pool, training=False, change=Change())
    changed = hits(live, pool, training=True, change=change)
    if as_trained is None or at_rest is None or changed is None:
        return None
    n = len(as_trained)
    gap = (sum(at_rest) - sum(as_trained)) / n
    if abs(gap) < _GAP:
        return None
    pair = (changed, as_trained) if gap > 0 else (as_trained, changed)
    return marked(
        paired_difference(*pair), abs(gap) / 2,
        f"The same {n} training images score {sum(as_trained) / n:.3f} in training mode, "
        f"{sum(at_rest) / n:.3f} in evaluation mode, and {sum(changed) / n:.3f} in training mode with this "
        f"one thing changed",
    )  # fmt: skip


def _closing(verdict: Verdict, signals: Signals) -> Change | None:
    if verdict.code == "frozen-batchnorm-in-training-mode":
        return Change(resting=verdict.where)
    if verdict.code == "preprocessing-mismatch":
        scale = own_scale(signals)
        return Change(scale=scale) if scale is not None else None
    return None


def _learns_better(bench: Bench, changes: Pair, code: str) -> Outcome:
    """Look after a short training; where that proves nothing, after one that is four times as long."""
    outcome = unconfirmed("fewer than two pairs of trainings fitted into the time")
    for steps in _lengths(bench):
        begun = time.monotonic()
        scores = _paired_scores(bench, changes, code, steps)
        if len(scores) < (2 if steps <= STEPS[0] else min(bench.pairs, _FEWEST_LONG)):
            return outcome
        outcome = _compared(scores, steps)
        a_pair = (time.monotonic() - begun) / len(scores)
        longer = _FEWEST_LONG * a_pair * STEPS[-1] / steps
        if outcome.mark == "proved" or time.monotonic() + longer > bench.deadline:
            return outcome
    return outcome


def _lengths(bench: Bench) -> tuple[int, int]:
    """Return for how many steps copies are trained: at first, for no more than the training had."""
    own = max(bench.signals.steps or STEPS[0], _FEWEST_STEPS)
    return min(own, STEPS[0]), STEPS[1]


def _paired_scores(bench: Bench, changes: Pair, code: str, steps: int) -> list[tuple[float, float]]:
    """Return the scores without and with the change, one pair per seed, as many as time allows."""
    scores = []
    for seed in range(bench.pairs if steps <= STEPS[0] else round(_MORE * bench.pairs)):
        unchanged, changed = (
            accuracy_after(
                bench.live, bench.train, change, seed=seed, steps=steps, deadline=bench.deadline,
                on=bench.validation if code in BALANCED else None, balanced=code in BALANCED,
            )
            for change in changes
        )  # fmt: skip
        if time.monotonic() > bench.deadline:
            break
        scores.append((unchanged, changed))
    return scores


def _compared(scores: list[tuple[float, float]], steps: int) -> Outcome:
    """Judge paired scores; a short training that learnt nothing refutes nothing."""
    effect = paired_mean([b - a for a, b in scores], confidence=_SURE)
    before, after = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    outcome = marked(
        effect, WORTHWHILE,
        f"{len(scores)} pairs of trainings of {steps} steps: score on the training images {before:.3f} "
        f"as it was, {after:.3f} with this one thing changed",
    )  # fmt: skip
    if outcome.mark != "refuted" or steps >= STEPS[-1] or min(before, after) > _LEARNT:
        return outcome
    return replace(
        outcome,
        mark="undecided",
        said=f"{len(scores)} pairs of trainings of {steps} steps learnt too little to tell "
        f"({before:.3f} as it was, {after:.3f} with this one thing changed), and time allowed no more.",
    )
