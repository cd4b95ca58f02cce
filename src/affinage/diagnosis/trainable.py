"""What learns, and what was meant to."""

import math

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked
from affinage.diagnosis.objective import outputs_for_classes
from affinage.diagnosis.reading import finite, last, majority, trained_objective
from affinage.records.signals import Signals

_BACKWARDS = 3


def nothing_trainable(signals: Signals) -> Answered:
    """No weight can change."""
    layers = signals.layers or ()
    if not any(layer.parameters for layer in layers):
        return Unchecked("the network shows no weights")
    trainable = sum(layer.trainable for layer in layers)
    held = [layer.optimized for layer in layers if layer.optimized is not None]
    total = sum(layer.parameters for layer in layers)
    if not trainable:
        return _nothing(
            f"All {total:,} weights are frozen.",
            "Unfreeze what should learn: requires_grad_(True).",
        )
    if held and not sum(held):
        return _nothing(
            f"The optimizer holds none of the {trainable:,} trainable weights.",
            "Build the optimizer after the last layer has been replaced, from the network that is trained: "
            "torch.optim.Adam(model.parameters(), lr=...).",
        )
    if signals.steps == 0 and len(finite(signals.series_of("loss"))) >= _BACKWARDS:
        return _nothing(
            "Gradients were computed again and again, and no optimizer ever took a step.",
            "Call optimizer.step() after loss.backward(), in every step of the loop.",
        )
    moved = [v for s in signals.by_layer("update_ratio").values() for v in finite(s)]
    if len(moved) >= 3 and max(moved) == 0.0:
        return _unmoved(signals, trainable)
    return Fine(f"{trainable:,} of {total:,} weights learn")


def _unmoved(signals: Signals, trainable: int) -> Found | Fine:
    if isinstance(single := outputs_for_classes(signals), Found):
        return Fine(f"no weight moved, which another finding explains: {single.subject}")
    if _is_without_gradients(signals):
        return _nothing(
            f"No weight moved in {signals.steps or 0} steps: whenever step() was called, no weight had a "
            "gradient.",
            "Call zero_grad() before backward(), never between backward() and step(); and see that the "
            "loss is computed from the network's outputs.",
        )
    return _nothing(
        f"No weight moved in {signals.steps or 0} steps, though {trainable:,} are trainable.",
        "Check that the learning rate is not 0 and that the loss is computed from the network's outputs.",
    )


def _is_without_gradients(signals: Signals) -> bool:
    """Return whether weights had no gradient at all, which is less than one that is 0."""
    values = finite(signals.series_of("gradient_norm"))
    none = any(o.without_gradient for o in signals.optimizers or ())
    return none and bool(values) and max(values) == 0.0


def _nothing(subject: str, remedy: str) -> Found:
    return Found(subject=subject, remedy=remedy, grade="fact", where=("all layers",))


def not_in_optimizer(signals: Signals) -> Answered:
    """Trainable weights that no optimizer holds."""
    layers = [layer for layer in signals.layers or () if layer.trainable]
    if not layers or any(layer.optimized is None for layer in layers):
        return Unchecked("the optimizer's parameters were not seen")
    left = [layer for layer in layers if not layer.optimized]
    if not left or len(left) == len(layers):
        return Fine("the optimizer holds all trainable weights")
    first_held = next(i for i, layer in enumerate(layers) if layer.optimized)
    frozen_by_leaving_out = all(layers.index(layer) < first_held for layer in left)
    meant = frozen_by_leaving_out and signals.pretrained is True
    number = sum(layer.trainable for layer in left)
    return Found(
        subject=f"{number:,} trainable weights in {len(left)} layers are in no optimizer: "
        "they never change."
        + (
            " As they are the lower layers of a pretrained network, this may be meant."
            if meant
            else ""
        ),
        evidence=tuple(layer.name for layer in left[:5]),
        remedy="Pass model.parameters() to the optimizer, after the last layer was replaced; "
        "or freeze them openly by requires_grad_(False).",
        grade="fact",
        where=tuple(layer.name for layer in left),
        severity="note" if meant else None,
    )


def without_gradient(signals: Signals) -> Answered:
    """Weights that the loss does not depend on."""
    left = [name for o in signals.optimizers or () for name in o.without_gradient]
    if not left:
        return Fine("every weight in the optimizer gets a gradient")
    if isinstance(nothing_trainable(signals), Found):
        return Fine("no weight is moved at all, which another rule judges")
    return Found(
        subject=f"{len(left)} parameters in the optimizer never got a gradient: the loss "
        "does not depend on them.",
        evidence=tuple(left[:5]),
        remedy="Look for detach(), no_grad(), an argmax before the loss, or layers that "
        "forward() leaves out.",
        grade="fact",
        where=tuple(left),
    )


def first_loss(signals: Signals) -> Answered:
    """The first loss is far above that of knowing nothing.

    Source: Karpathy, A Recipe for Training Neural Networks, 2019: verify the loss at initialisation.
    """
    series, objective = signals.series_of("loss"), trained_objective(signals)
    values = finite(series)
    if not values or objective is None or series is None or series.steps[0] != 1:
        return Unchecked("the loss of the first step was not seen")
    if objective.name != "cross_entropy" or not objective.outputs or objective.outputs < 2:
        return Unchecked("for this loss the value of knowing nothing is not known")
    chance = _log(objective.outputs)
    if values[0] < 2.5 * chance + 1.0:
        return Fine(f"the first loss is {values[0]:.2f}; knowing nothing would give {chance:.2f}")
    base = majority(signals, "validation")
    score = last(signals.curve("accuracy", "validation"))
    recovered = base is not None and score is not None and score > base[0] + 0.3 * (1 - base[0])
    return Found(
        subject=f"The first loss is {values[0]:.2f}; a network that knows nothing has {chance:.2f}.",
        remedy="Leave the last layer's first weights at the library's own (or multiply them by 0.1), "
        "and check that "
        "inputs lie at about -2 to 2.",
        grade="measured",
        where=("first step",),
        severity="note" if recovered else None,
    )


def _log(classes: int) -> float:
    return math.log(classes)
