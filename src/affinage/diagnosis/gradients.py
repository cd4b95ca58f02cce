"""Gradients that vanish, explode or pile up."""

from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.rates import decay_memory
from affinage.diagnosis.reading import finite, series_trace, tail, train_accuracy
from affinage.diagnosis.standing import learns
from affinage.records.signals import Signals


def vanishing(signals: Signals) -> Answered:
    """Early layers get next to no gradient beside late ones.

    A layer that began at zero is left out: its gradient is large beside its weights, and until it has grown
    none flows below it.

    Source: Glorot and Bengio, Understanding the difficulty of training deep networks, 2010, section 4.
    """
    grads, norms = signals.by_layer("gradient_norm"), signals.by_layer("weight_norm")
    order = [
        layer.name for layer in signals.layers or () if layer.trainable and layer.kind in _WEIGHTED
    ]
    order = order or list(grads)
    ratios = {
        layer: median(finite(grads[layer])) / (median(finite(norms[layer])) or 1.0)
        for layer in order
        if layer in grads
        and layer in norms
        and finite(grads[layer])
        and _began(finite(norms[layer]))
    }
    if len(ratios) < 3:
        return Unchecked("gradients of fewer than three layers that began above zero were seen")
    looks = min(len(finite(grads[layer])) for layer in ratios)
    if looks < _LOOKS:
        return Unchecked(f"gradients were looked at {looks} times; {_LOOKS} would be enough")
    values = list(ratios.values())
    first, late = values[0], median(values[-2:])
    learnt = train_accuracy(signals)
    if late == 0 or first > 1e-3 * late or (learnt is not None and learnt > 0.9):
        return Fine(
            f"the first layer's relative gradient is {first / late if late else 0:.2g} of the last ones'"
        )
    name = next(iter(ratios))
    return Found(
        subject=f"Layer '{name}' hardly learns: the gradient that moves its weights is {first / late:.1g} of "
        "the last layers', each relative to its weights.",
        evidence=tuple(f"{layer}: {value:.1e}" for layer, value in list(ratios.items())[:6]),
        remedy="Put nn.ReLU() in the place of sigmoid and tanh between layers, and BatchNorm after "
        "each layer; "
        "for many layers use a network with skip connections (a ResNet).",
        grade="measured",
        where=(name,),
        severity="note" if learns(signals) else None,
        alternatives=otherwise("layers that are frozen", "only layers that learn were compared"),
    )


_WEIGHTED = {"Linear", "Conv1d", "Conv2d", "Dense", "Conv1D", "Conv2D"}
_LOOKS = 6


def _began(norms: list[float]) -> bool:
    """Return whether a layer's weights began at a size that is comparable with their last one."""
    return bool(norms) and norms[0] > 0.01 * norms[-1]


def exploding(signals: Signals) -> Answered:
    """Gradients grow beyond all measure."""
    series = signals.series_of("gradient_norm")
    values = finite(series)
    if series is None or len(series.values) < 3:
        return Unchecked(f"gradients were not seen: {signals.why_missing('gradient_norm')}")
    lost = len(series.values) - len(values)
    start = median(values[: max(1, len(values) // 4)]) if values else 0.0
    peak, relative = max(values, default=0.0), _relative(signals)
    if not lost and (peak < 1e3 or (peak < 100 * start and relative < 1e3)):
        return Fine(f"the norm of the gradient is at most {peak:.3g}")
    what = (
        f"is not finite at {lost} of {len(series.values)} steps looked at"
        if lost
        else f"reaches {peak:.2g}"
    )
    return Found(
        subject=f"The gradient, by which each step moves the weights, {what} (at the start {start:.2g}).",
        remedy="Divide the learning rate by 10, call torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) "
        "before optimizer.step(), leave first weights at the library's own, and scale inputs "
        "to about -1 to 1.",
        grade="measured",
        traces=series_trace(series, "gradient norm"),
        changes=(("optimizer.clip", "1.0"),),
    )


def _relative(signals: Signals) -> float:
    """Return the largest median gradient relative to a layer's weights."""
    norms = signals.by_layer("weight_norm")
    ratios = [
        median(finite(s)) / (median(finite(norms[layer])) or 1.0)
        for layer, s in signals.by_layer("gradient_norm").items()
        if layer in norms and finite(s) and finite(norms[layer])
    ]
    return max(ratios, default=0.0)


def not_finite(signals: Signals) -> Answered:
    """The loss is not a number."""
    series = signals.series_of("loss")
    if series is None or not series.values:
        return Unchecked(f"losses were not seen: {signals.why_missing('loss')}")
    lost = [step for step, v in zip(series.steps, series.values, strict=True) if v is None]
    if not lost:
        return Fine("all losses are numbers")
    return Found(
        subject=f"The loss is not a number from step {lost[0]} on ({len(lost)} of "
        f"{len(series.values)} seen).",
        remedy="Divide the learning rate by 10; if it comes again, look for log(0) or a division by "
        "0 in the loss, "
        "and for images that hold numbers that are none (torch.isfinite(images).all()).",
        grade="fact",
        where=(f"step {lost[0]}",),
        traces=series_trace(series, "loss"),
    )


def not_zeroed(signals: Signals) -> Answered:
    """Gradients of earlier steps are still there."""
    own = [o for o in signals.optimizers or () if o.zeroed_share is not None and o.steps >= 3]
    if not own:
        return Unchecked("fewer than three steps were looked at")
    worst = min(own, key=lambda o: o.zeroed_share or 0.0)
    share = worst.zeroed_share or 0.0
    if share >= 0.5 or (worst.backwards_per_step or 1.0) > 1.5:
        return Fine(f"gradients were at zero before {share:.0%} of the steps looked at")
    return Found(
        subject=f"Gradients were set to zero before only {share:.0%} of the steps: each "
        "step adds those of all before.",
        remedy="Call optimizer.zero_grad() before loss.backward().",
        grade="fact",
        where=(worst.name,),
    )


def weights_shrink(signals: Signals) -> Answered:
    """Weight decay pulls the weights to zero faster than the loss builds them.

    Decoupled decay (AdamW) takes a share of lr x decay of every weight at each step, so a weight forgets
    what it learnt 1 / (lr x decay) steps ago: that should be many epochs.

    Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019; Wang & Aitchison, How to set
    AdamW's weight decay as you scale model and dataset size, 2024 (memory in epochs).
    """
    decay = max((d for o in signals.optimizers or () for d in o.weight_decays), default=None)
    if decay is None:
        return Unchecked("the optimizer's settings were not seen")
    if decay < 0.01:
        return Fine(f"weight decay is {decay:g}")
    shrunk = [
        (tail(v) or 0.0) / v[0]
        for s in signals.by_layer("weight_norm").values()
        if len(v := finite(s)) >= 4 and v[0] > 0
    ]
    memory = decay_memory(signals)
    forgets = memory is not None and memory < (signals.steps_per_epoch or 0.0)
    learnt = train_accuracy(signals)
    small = bool(shrunk) and median(shrunk) <= 0.5
    if not (small or forgets) or (learnt is not None and learnt > 0.85):
        return Fine(f"weight decay {decay:g} leaves the weights their size, or they learn well")
    did = f"shrank the weights to {median(shrunk):.0%} of their size (median of layers)"
    if not small:
        did = (
            f"lets weights forget what they learnt {memory or 0.0:.0f} steps ago, within one epoch"
        )
    return Found(
        subject=f"Weight decay {decay:g} {did}.",
        remedy="Use a weight decay of 1e-4 (SGD) or 1e-2 (AdamW).",
        grade="measured",
        changes=(("optimizer.weight_decay", "0.0001"),),
    )
