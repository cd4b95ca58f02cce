"""For each finding that a changed training could mend: the training as it was, and as it would be."""

import math
from collections.abc import Callable

from affinage.diagnosis.rates import update_ratio
from affinage.diagnosis.reading import finite, trained_objective
from affinage.records.signals import Signals
from affinage.records.verdict import Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import live_is_pretrained
from affinage.watching.live import Live
from affinage.watching.scaling import own_scale, unit_scale

Pair = tuple[Change, Change]
Made = Callable[[Verdict, Live, Signals], Pair | None]

_USUAL = 1e-3
"""Update of a weight by its size at a step that is usual: Karpathy's CS231n notes."""
_ADAPTIVE, _PLAIN = 1e-3, 3e-2
"""Learning rates that are usual for Adam and its kin, and for SGD, in training from scratch."""
_MUCH_LOWER, _TOO_HIGH = 0.01, frozenset({"learning-rate-too-high", "loss-not-a-number"})
"""Factor on a rate at which the weights' updates are no numbers any more."""
_MOST = 0.5
"""Share of the steps whose gradients were zeroed from which on they count as zeroed: as in the rule."""
_SMALLEST, _LARGEST = 8, 32
"""Batches that are put in the place of tiny ones: four of them together, within these bounds."""


def changes_for(verdict: Verdict, live: Live, signals: Signals) -> Pair | None:
    """Return the training as it was and without the fault; None where no change could mend it."""
    made = _MADE.get(verdict.code)
    return made(verdict, live, signals) if made is not None else None


def _always(mended: Change, faulty: Change | None = None) -> Made:
    return lambda *_: (faulty or Change(), mended)


def _rate(verdict: Verdict, _: Live, signals: Signals) -> Pair | None:
    ratio = update_ratio(signals)
    if not ratio or not math.isfinite(ratio):
        return (Change(), Change(rate=_MUCH_LOWER)) if verdict.code in _TOO_HIGH else None
    # An experiment is short: it takes the upper end of what is usual.
    low = verdict.code == "learning-rate-too-low"
    factor = max(10 * _USUAL / ratio, 1.0) if low else min(_USUAL / ratio, 0.1)
    return Change(), Change(rate=factor)


def _trainable(_: Verdict, live: Live, __: Signals) -> Pair:
    """Everything is trained; of a pretrained network the last layer alone."""
    whole = any(p.requires_grad for p in live.main.parameters()) if live.main else False
    still = not any(g["lr"] for one in live.optimizers for g in one.param_groups)
    rate = (_PLAIN if _kind(live) == "SGD" else _ADAPTIVE) if still else 0.0
    last = not whole and live.main is not None and _names_pretraining(live)
    return Change(), Change(trained="last" if last else "all", set_rate=rate)


def _names_pretraining(live: Live) -> bool:
    assert live.main is not None
    return any(hasattr(m, "pretrained_cfg") for m in live.main.modules())


def _kind(live: Live) -> str:
    return type(live.optimizers[-1]).__name__ if live.optimizers else ""


def _head(_: Verdict, __: Live, signals: Signals) -> Pair | None:
    objective, losses = trained_objective(signals), finite(signals.series_of("loss"))
    if objective is None or not losses or (objective.outputs or 0) < 2:
        return None
    return Change(), Change(head=min(0.1, math.log(objective.outputs or 2) / (10 * losses[0])))


def _constant_rate(_: Verdict, __: Live, signals: Signals) -> Pair | None:
    """The rate as it was at every step, against its peak held."""
    rates = finite(signals.series_of("learning_rate"))
    if not rates or max(rates) <= 0:
        return None
    first = next((r for r in rates if r > 0), 1.0)
    return Change(rates=tuple(r / first for r in rates)), Change(rates=(max(rates) / first,))


def _larger_batches(_: Verdict, __: Live, signals: Signals) -> Pair | None:
    """The same steps on the same images, normalised by the few as before, or by all of a batch."""
    fed = next((f for f in signals.feeding or () if f.part == "train"), None)
    if fed is None or not fed.batch_size or fed.batch_size >= _LARGEST:
        return None
    batch = min(max(_SMALLEST, 4 * fed.batch_size), _LARGEST)
    return Change(batch=batch, chunk=fed.batch_size), Change(batch=batch)


def _own_scale(_: Verdict, __: Live, signals: Signals) -> Pair | None:
    scale = own_scale(signals)
    return (Change(), Change(scale=scale)) if scale is not None else None


def _resting(verdict: Verdict, *_: object) -> Pair:
    return Change(), Change(resting=verdict.where)


def _dead(_: Verdict, live: Live, __: Signals) -> Pair:
    """Leaky units from a start of their own; pretrained weights are kept."""
    return Change(), Change(activation="leaky", fresh=not live_is_pretrained(live))


def _tamed(_: Verdict, live: Live, __: Signals) -> Pair:
    """Clipped gradients, at a tenth of the rate where weights are pretrained, else from a usual start."""
    if live_is_pretrained(live):
        return Change(), Change(clip=1.0, rate=0.1)
    return Change(), Change(clip=1.0, fresh=True)


def _zeroed(_: Verdict, __: Live, signals: Signals) -> Pair:
    """As the training did it, and zeroed before each step."""
    own = [o.zeroed_share for o in signals.optimizers or () if o.zeroed_share is not None]
    return Change(zero=min(own, default=0.0) >= _MOST), Change()


_SIGMOIDS = _always(Change(activation="relu", fresh=True))


def _unit_scale(_: Verdict, __: Live, signals: Signals) -> Pair | None:
    scale = unit_scale(signals)
    return (Change(), Change(scale=scale)) if scale is not None else None


_MADE: dict[str, Made] = {
    "batchnorm-tiny-batches": _larger_batches,
    "broadcast-in-loss": _always(Change(aligned=True)),
    "dead-units": _dead,
    "decayed-too-soon": _constant_rate,
    "exploding-gradient": _tamed,
    "first-loss-too-high": _head,
    "frozen-batchnorm-in-training-mode": _resting,
    "gradients-not-zeroed": _zeroed,
    "inputs-not-scaled": _unit_scale,
    "learning-rate-too-high": _rate,
    "learning-rate-too-low": _rate,
    "loss-activation-mismatch": _always(Change(open_output=True)),
    "loss-not-a-number": _rate,
    "no-activation-between-layers": _always(Change(between=True)),
    "nothing-trainable": _trainable,
    "parameters-not-in-optimizer": _always(Change(trained="all")),
    "preprocessing-mismatch": _own_scale,
    "pretrained-weights-wrecked": _always(Change(rate=0.01)),
    "rare-classes-lost": _always(Change(balance=True)),
    "saturated-units": _SIGMOIDS,
    "too-much-dropout": _always(Change(dropout=False)),
    "unshuffled-training": _always(Change(), Change(shuffle=False)),
    "vanishing-gradient": _SIGMOIDS,
    "weight-decay-too-strong": _always(Change(decay=0.0)),
    "weights-begin-equal": _always(Change(fresh=True)),
}

BALANCED = frozenset({"rare-classes-lost"})
"""Findings whose harm is to rare classes: every class counts alike in their score."""
