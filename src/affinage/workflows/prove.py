"""Prove or refute what the doctor found, by experiments on copies of a watched training."""

import time
from dataclasses import replace

from affinage.diagnosis.rates import update_ratio
from affinage.metrics.intervals import paired_difference
from affinage.metrics.paired_runs import paired_mean
from affinage.records.estimate import Estimate
from affinage.records.signals import Signals
from affinage.records.verdict import Mark, Outcome, Verdict
from affinage.watching.live import Live
from affinage.watching.scaling import own_scale
from affinage.watching.trials import Change, Pool, accuracy_after, can_be_opened, hits, pool_of

SECONDS = 120.0
PAIRS = 5
STEPS = (60, 240)
"""Of a short look; and of a long one, where the short one proved nothing and time allows."""
WORTHWHILE = 0.05
"""A gain of 5 points of accuracy on the training images; assumed to be what an owner would act on."""

_GAP = 0.1
_LEARNT = 0.9
_FEWEST_LONG = 3
"""Pairs of the long look that must fit into the time for it to begin."""
_SURE = 0.975
"""Of each of two looks, so that both together err in at most 5 % of cases (Bonferroni)."""

_CHANGES: dict[str, tuple[Change, Change]] = {
    "unshuffled-training": (Change(), Change(shuffle=True)),
    "gradients-not-zeroed": (Change(shuffle=True, zero=False), Change(shuffle=True)),
    "weight-decay-too-strong": (Change(shuffle=True), Change(shuffle=True, decay=0.0)),
    "too-much-dropout": (Change(shuffle=True), Change(shuffle=True, dropout=False)),
    "exploding-gradient": (Change(shuffle=True), Change(shuffle=True, clip=1.0)),
    "loss-activation-mismatch": (Change(shuffle=True), Change(shuffle=True, open_output=True)),
}
"""For each finding: the training as it was, and as it would be without the fault."""

_RATES = {"learning-rate-too-high", "learning-rate-too-low", "loss-not-a-number"}
_USUAL = 1e-3
"""Update of a weight by its size at a step that is usual: Karpathy's CS231n notes."""


def prove(
    verdicts: tuple[Verdict, ...], live: Live | None, signals: Signals, *,
    seconds: float = SECONDS, pairs: int = PAIRS,
) -> tuple[Verdict, ...]:  # fmt: skip
    """Return verdicts with what experiments say of every finding.

    Where the same training images score otherwise in training than in evaluation mode, that gap is what is
    to be explained: a cause must close at least half of it. Else a cause must let copies of the training,
    paired by seed, learn at least 5 points better.

    Args:
        verdicts: Of the doctor.
        live: The watched training at rest; None where there is none: then all is unconfirmed.
        signals: Of the same training.
        seconds: For all experiments together.
        pairs: Trainings with and without the fault, for each finding.
    """
    deadline = time.monotonic() + seconds
    pool = pool_of(live) if live is not None and live.main is not None else None
    proved = []
    for verdict in verdicts:
        if verdict.finding is None:
            proved.append(verdict)
            continue
        begun = time.monotonic()
        outcome = _outcome(verdict, live, pool, signals, deadline, pairs)
        spent = round(time.monotonic() - begun, 2)
        proved.append(replace(verdict, outcome=replace(outcome, seconds=spent)))
    return tuple(proved)


def _outcome(
    verdict: Verdict, live: Live | None, pool: Pool | None, signals: Signals, deadline: float, pairs: int
) -> Outcome:  # fmt: skip
    if live is None or live.main is None or pool is None:
        return unconfirmed("there is no watched training with images at hand to experiment on")
    if time.monotonic() > deadline:
        return unconfirmed("the time for experiments was used up")
    change = _of_gap(verdict, signals)
    if change is not None:
        return _explains_gap(live, pool, change)
    changes = _changes(verdict.code, signals)
    reason = _hindrance(live, pool, changes)
    if changes is None or reason:
        return unconfirmed(reason)
    return _learns_better(live, pool, changes, deadline, pairs)


def _hindrance(live: Live, pool: Pool, changes: tuple[Change, Change] | None) -> str:
    if changes is None:
        return "no experiment on a copy can tell; see what would refute it"
    if live.criterion is None or not live.optimizers:
        return "the loss or the optimizer of the training is not known"
    if changes[1].open_output and not can_be_opened(live, pool):
        return "the activation at the output cannot be left out in a copy"
    return ""


def _changes(code: str, signals: Signals) -> tuple[Change, Change] | None:
    if code not in _RATES:
        return _CHANGES.get(code)
    ratio = update_ratio(signals)
    if not ratio:
        return None
    # An experiment is short: it takes the upper end of what is usual.
    low = code == "learning-rate-too-low"
    factor = max(10 * _USUAL / ratio, 1.0) if low else min(_USUAL / ratio, 0.1)
    return Change(shuffle=True), Change(shuffle=True, rate=factor)


def _of_gap(verdict: Verdict, signals: Signals) -> Change | None:
    if verdict.code == "frozen-batchnorm-in-training-mode":
        return Change(resting=verdict.where)
    if verdict.code == "preprocessing-mismatch":
        scale = own_scale(signals)
        return Change(scale=scale) if scale is not None else None
    return None


def _explains_gap(live: Live, pool: Pool, change: Change) -> Outcome:
    """Measure the gap between the modes, and what of it the change closes."""
    as_trained = hits(live, pool, training=True, change=Change())
    at_rest = hits(live, pool, training=False, change=Change())
    changed = hits(live, pool, training=True, change=change)
    if as_trained is None or at_rest is None or changed is None:
        return unconfirmed("targets are no classes, so there is no accuracy to compare")
    n = len(as_trained)
    gap = (sum(at_rest) - sum(as_trained)) / n
    if abs(gap) < _GAP:
        return marked(
            paired_difference(changed, as_trained), WORTHWHILE,
            f"The same {n} training images score {sum(as_trained) / n:.3f} as they were trained and "
            f"{sum(changed) / n:.3f} with this one thing changed",
        )  # fmt: skip
    effect = (
        paired_difference(changed, as_trained)
        if gap > 0
        else paired_difference(as_trained, changed)
    )
    return marked(
        effect, abs(gap) / 2,
        f"The same {n} training images score {sum(as_trained) / n:.3f} in training mode, "
        f"{sum(at_rest) / n:.3f} in evaluation mode, and {sum(changed) / n:.3f} in training mode with this "
        f"one thing changed",
    )  # fmt: skip


def _learns_better(
    live: Live, pool: Pool, changes: tuple[Change, Change], deadline: float, pairs: int
) -> Outcome:
    """Look after a short training; where that proves nothing, after one that is four times as long."""
    outcome = unconfirmed("fewer than two pairs of trainings fitted into the time")
    for steps in STEPS:
        begun = time.monotonic()
        scores = _paired_scores(live, pool, changes, deadline, pairs, steps)
        if len(scores) < (2 if steps == STEPS[0] else min(pairs, _FEWEST_LONG)):
            return outcome
        outcome = _compared(scores, steps)
        a_pair = (time.monotonic() - begun) / len(scores)
        longer = _FEWEST_LONG * a_pair * STEPS[-1] / STEPS[0]
        if outcome.mark == "proved" or time.monotonic() + longer > deadline:
            return outcome
    return outcome


def _paired_scores(
    live: Live, pool: Pool, changes: tuple[Change, Change], deadline: float, pairs: int, steps: int
) -> list[tuple[float, float]]:
    """Return the scores without and with the change, one pair per seed, as many as time allows."""
    scores = []
    for seed in range(pairs):
        unchanged, changed = (
            accuracy_after(live, pool, change, seed=seed, steps=steps, deadline=deadline)
            for change in changes
        )
        if time.monotonic() > deadline:
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
    if outcome.mark != "refuted" or steps == STEPS[-1] or min(before, after) > _LEARNT:
        return outcome
    return replace(
        outcome,
        mark="undecided",
        said=f"{len(scores)} pairs of trainings of {steps} steps learnt too little to tell "
        f"({before:.3f} as it was, {after:.3f} with this one thing changed), and time allowed no more.",
    )


def marked(effect: Estimate, worthwhile: float, said: str) -> Outcome:
    """Return what an effect with its interval says of a cause that would matter from `worthwhile` on."""
    low, high = effect.low, effect.high
    mark: Mark = "undecided"
    if low is not None and low > worthwhile:
        mark = "proved"
    elif high is not None and high < worthwhile:
        mark = "refuted"
    reach = f" ({low:+.3f} to {high:+.3f})" if low is not None and high is not None else ""
    words = {
        "proved": "this is a cause",
        "refuted": "this is not the cause",
        "undecided": "this cannot be told yet",
    }
    return Outcome(
        mark=mark,
        said=f"{said}: {effect.value:+.3f}{reach}, where {worthwhile:.3f} would count; {words[mark]}.",
        effect=effect,
        worthwhile=worthwhile,
    )


def unconfirmed(reason: str) -> Outcome:
    """Return that nothing could be tried, and why."""
    return Outcome(mark="unconfirmed", said=f"{reason[:1].upper()}{reason[1:]}.")
