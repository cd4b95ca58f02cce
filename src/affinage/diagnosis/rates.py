"""Learning rates that are too high, too low, or fall at the wrong time."""

import math
from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.initial import all_begin_equal, begin_equal
from affinage.diagnosis.objective import loss_activation, stretched
from affinage.diagnosis.reading import (
    finite,
    ignoring_loss,
    last,
    majority,
    series_trace,
    tail,
    train_accuracy,
    validation_accuracy,
)
from affinage.diagnosis.scale import not_scaled
from affinage.records.signals import Signals

_ENOUGH = 12
_USUAL = 1e-3
_WILD, _PATH = 0.05, 3.0
"""A loss that merely stands at that of knowing nothing tells a high rate from a slow start only where
each step moves weights by 5 % (50 times what is usual) and all together replaced them three times."""


def too_high(signals: Signals) -> Answered:
    """Steps are so large that what was learnt is lost again.

    Source: Godbole et al., Deep Learning Tuning Playbook, 2023 (divergence and instability); the ratio
    of an update to its weights should be near 1e-3 (Bottou's rule, as in Karpathy's CS231n notes).
    """
    series = signals.series_of("loss")
    losses = finite(series)
    if series is None or len(series.values) < _ENOUGH:
        return Unchecked("fewer than 12 losses of training steps were seen")
    ratio = update_ratio(signals)
    floor, end, best = ignoring_loss(signals), tail(losses) or 0.0, _best(losses)
    lost = len(series.values) - len(losses)
    learnt = train_accuracy(signals)
    large = ratio is not None and ratio > 0.02
    wild = ratio is not None and ratio > _WILD and len(series.values) * ratio > _PATH
    thrown = _thrown(signals)
    stuck = floor is not None and end > 0.97 * floor
    memory = decay_memory(signals)
    if memory is not None and ratio is not None and 1 / memory > 0.5 * ratio:
        return Fine("most of each update is weight decay, which another rule judges")
    early = losses[0] if losses else 0.0
    if lost and large:
        problem = "the loss stopped being a number"
    elif floor is not None and end > 1.5 * max(floor, 0.05) and end > 0.8 * early and large:
        problem = f"the loss stands at {end:.3g}, above {floor:.3g} of knowing nothing"
    elif end > 1.5 * early and end > 4 * best and large:
        problem = f"the loss rose from {early:.3g} to {end:.3g}"
    elif stuck and (wild or thrown) and (learnt is None or learnt < 0.9) and not _held_up(signals):
        ratio = ratio if wild else min(thrown, 1.0)
        problem = f"the loss stays at {end:.3g}, no better than knowing nothing ({floor:.3g})"
    else:
        seen = (
            f"an update moves a layer by {ratio:.2g} of its size"
            if ratio is not None
            else "updates unseen"
        )
        return Fine(f"the loss falls to {end:.3g} from {early:.3g}; {seen}")
    powers = _powers_of_ten(ratio)
    return Found(
        subject=f"Updates move weights by {ratio:.0%} of their size at a step, and {problem}.",
        evidence=(f"median of layers, over {len(losses)} losses seen", "about 0.1 % is usual"),
        remedy=f"Divide the learning rate by {10**powers:g}.",
        grade="measured",
        traces=series_trace(series, "loss"),
        alternatives=otherwise(
            "inputs of a wrong scale", "see the verdict on preprocessing, which was asked too"
        ),
        changes=(("optimizer.lr", f"x{10.0**-powers:g}"),),
    )


def _thrown(signals: Signals) -> float:
    """Return how far the wildest early step moved the weights; 0 where none replaced them.

    Weights that one step throws far away may lie where nothing moves them any more, and later steps look
    small then. Layers that began at zero are left out: any step is large beside them.
    """
    sizes = signals.by_layer("weight_norm")
    early = [
        max(values[:_EARLY])
        for layer, s in signals.by_layer("update_ratio").items()
        if (values := finite(s)) and layer in sizes and (finite(sizes[layer]) or [0.0])[0] > 0
    ]
    farthest = median(early) if early else 0.0
    return farthest if farthest > _REPLACED else 0.0


_EARLY, _REPLACED = 5, 1.5
"""Looks at the first steps; and a move, in sizes of the weights, that leaves nothing of them."""


def _held_up(signals: Signals) -> bool:
    """Return whether another cause would keep the loss up at any usual rate."""
    causes = (stretched, loss_activation, begin_equal, not_scaled)
    found = any(isinstance(rule(signals), Found) for rule in causes)
    return found or bool(all_begin_equal(signals))


def _powers_of_ten(ratio: float | None) -> int:
    """Return how many powers of ten lie between an update and the usual one of a thousandth; at least 1."""
    return max(1, round(abs(math.log10((ratio or _USUAL) / _USUAL))))


def _best(losses: list[float]) -> float:
    size = max(1, len(losses) // 10)
    windows = [median(losses[i : i + size]) for i in range(0, len(losses) - size + 1, size)]
    return min(windows, default=0.0)


def update_ratio(signals: Signals) -> float | None:
    """Return how far a step moves the weights of a layer: the median over layers of the 75 % quantile."""
    own = [
        sorted(values)[int(0.75 * (len(values) - 1))]
        for layer, s in signals.by_layer("update_ratio").items()
        if (values := finite(s)) and layer not in _norms(signals)
    ]
    return median(own) if own else None


def decay_memory(signals: Signals) -> float | None:
    """Return after how many steps decoupled decay lets weights forget; None for coupled or no decay."""
    own = [
        rate * decay
        for o in signals.optimizers or ()
        if o.name == "AdamW"
        for rate, decay in zip(o.learning_rates, o.weight_decays, strict=False)
    ]
    return 1 / max(own) if own and max(own) > 0 else None


def _norms(signals: Signals) -> set[str]:
    return {n.name for n in signals.batchnorms or ()}


def too_low(signals: Signals) -> Answered:
    """Steps are so small that nothing happens."""
    ratio, losses = update_ratio(signals), finite(signals.series_of("loss"))
    if ratio is None or len(losses) < _ENOUGH:
        return Unchecked("updates of the weights were not seen")
    early, end = median(losses[: len(losses) // 4]), tail(losses) or 0.0
    learnt = train_accuracy(signals)
    if ratio == 0.0:
        return Fine("weights do not move at all, which another rule judges")
    if ratio > 1e-4 or end < 0.85 * early or (learnt is not None and learnt > 0.85):
        return Fine(f"an update moves a layer by {ratio:.1e} of its size")
    powers = _powers_of_ten(ratio)
    return Found(
        subject=f"Updates move weights by {ratio:.0e} of their size at a step (0.001 is usual), and the "
        "loss fell only "
        f"from {early:.3g} to {end:.3g} in {signals.steps or 0} steps.",
        remedy=f"Multiply the learning rate by {10**powers:g}, and on until the loss falls visibly within "
        "an epoch.",
        grade="measured",
        traces=series_trace(signals.series_of("loss"), "loss"),
        alternatives=otherwise(
            "a network that has learnt all it can", "its training images are not yet learnt"
        ),
        changes=(("optimizer.lr", f"x{10**powers:g}"),),
    )


def decayed_too_soon(signals: Signals) -> Answered:
    """The schedule ended learning while the loss was still falling."""
    series = signals.series_of("learning_rate")
    rates = finite(series)
    if len(rates) < 20:
        return Unchecked("fewer than 20 learning rates were seen")
    peak = max(rates)
    low = next((i for i, r in enumerate(rates) if r < 0.01 * peak and i > rates.index(peak)), None)
    if low is None or low > 0.5 * len(rates):
        return Fine("the learning rate is not spent before half of the steps")
    learnt = train_accuracy(signals)
    if learnt is None or learnt > 0.85:
        return Fine("the learning rate falls early, and training images are learnt all the same")
    return Found(
        subject="The learning rate falls below 1 % of its peak after "
        f"{low / len(rates):.0%} of the steps, "
        f"with only {learnt:.2f} of the training images right.",
        remedy="Stretch the schedule over the whole training: T_max or step_size in the "
        "unit in which it is stepped.",
        grade="measured",
        traces=series_trace(series, "learning rate"),
    )


def schedule_idle(signals: Signals) -> Answered:
    """A schedule that is never moved on, or cannot act."""
    own = [o for o in signals.optimizers or () if o.scheduler]
    if not own:
        return Fine("there is no schedule that could stand still")
    idle, epochs = own[0], signals.epochs
    if not idle.scheduler_steps and (epochs or 0) >= 2:
        return Found(
            subject=f"{idle.scheduler} was built but never stepped: the learning rate stays as it was.",
            remedy="Call scheduler.step() once per epoch (or per step, if its lengths are "
            "meant in steps).",
            grade="fact",
            where=(idle.scheduler,),
        )
    patience = (idle.scheduler_settings or {}).get("patience")
    length = signals.planned_epochs or (epochs if signals.ended == "finished" else None)
    if patience is not None and length is not None and length >= 1 and patience >= length - 1:
        return Found(
            subject=f"{idle.scheduler} waits for {patience:g} flat epochs, and the training "
            f"has {length:g}.",
            remedy=f"Set patience to at most {max(1, int(length // 5))}.",
            grade="fact",
            where=(idle.scheduler,),
            severity=None if length >= 5 else "note",
        )
    return Fine(f"{idle.scheduler} was stepped {idle.scheduler_steps} times")


def wrecked(signals: Signals) -> Answered:
    """Pretrained layers were changed so much that what they knew is lost."""
    if not signals.pretrained:
        return Fine("the network was not trained before")
    norms = [
        (values[0], values[-1])
        for s in signals.by_layer("weight_norm").values()
        if len(values := finite(s)) >= 4
    ]
    ratio, base = update_ratio(signals), majority(signals, "validation")
    if ratio is None or len(norms) < 3:
        return Unchecked("updates of the weights were not seen")
    score = validation_accuracy(signals)
    curve = signals.curve("accuracy", "train (running)")
    if ratio < 0.02 or score is None or base is None or score > base[0] + 0.35 * (1 - base[0]):
        return Fine(f"an update moves a layer by {ratio:.1e} of its size")
    return Found(
        subject=f"Updates move pretrained weights by {ratio:.1%} of their size at a step, "
        "and validation accuracy "
        f"is {score:.2f}, near {base[0]:.2f} of always saying the most frequent class.",
        evidence=(f"running training accuracy at the end: {last(curve)}",),
        remedy="Divide the learning rate of the pretrained layers by 10 to 100, and warm it up.",
        grade="measured",
    )
