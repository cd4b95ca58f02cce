"""Units that no longer answer."""

from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import (
    feeding_of,
    finite,
    outputs_of,
    tail,
    train_accuracy,
    trained_objective,
)
from affinage.diagnosis.standing import learns
from affinage.records.signals import Signals

_LINEAR = {"Linear", "Conv2d", "Conv1d", "Dense", "Conv1D", "Conv2D"}
_HARMLESS = {
    "Linear", "Conv1d", "Conv2d", "Flatten", "Identity", "Dropout", "Dropout2d", "BatchNorm1d",
    "BatchNorm2d", "AvgPool2d", "AdaptiveAvgPool2d", "Unflatten", "Dense", "Conv1D", "Conv2D", "InputLayer",
    "BatchNormalization", "AveragePooling2D", "GlobalAveragePooling2D", "Reshape", "Rescaling",
    "Normalization", "SpatialDropout2D",
}  # fmt: skip


def dead(signals: Signals) -> Answered:
    """Most units of a layer are zero for every image.

    Source: Lu et al., Dying ReLU and Initialization, 2019.
    """
    objective, outputs = trained_objective(signals), outputs_of(signals)
    if objective and outputs and objective.activation == "relu" and outputs.at_zero > 0.97:
        return _dead_output(outputs.at_zero)
    shares = signals.by_layer("dead_units")
    if not shares:
        return Unchecked(f"activations were not seen: {signals.why_missing('series')}")
    size = (feeding_of(signals) or None) and feeding_of(signals)
    if size and size.batch_size and size.batch_size < 8:
        return Unchecked("batches are too small to tell a dead unit from a rare one")
    ends = {
        layer: tail(finite(s)) for layer, s in shares.items() if len(finite(s)) >= _looks(signals)
    }
    hurt = {layer: share for layer, share in ends.items() if share is not None and share >= 0.95}
    learnt = train_accuracy(signals)
    if not hurt or (learnt is not None and learnt > 0.9):
        worst = max((s for s in ends.values() if s is not None), default=0.0)
        return Fine(
            f"at most {worst:.0%} of a layer's units are zero for a whole batch, or it learns well"
        )
    layer = max(hurt, key=lambda name: hurt[name])
    return Found(
        subject=f"{hurt[layer]:.0%} of the units of layer '{layer}' are zero for every image: they pass "
        "nothing on and can learn nothing any more.",
        evidence=tuple(f"{name}: {share:.0%}" for name, share in list(hurt.items())[:5]),
        remedy="Divide the learning rate by 10; if they stay dead, put nn.LeakyReLU(0.1) in the "
        "place of nn.ReLU(), "
        "and check that inputs lie at about -2 to 2.",
        grade="measured",
        where=tuple(hurt),
        severity="note" if learns(signals) else None,
        alternatives=otherwise(
            "units that specialise on rare images", "hardly any unit of this layer answers"
        ),
    )


def _looks(signals: Signals) -> int:
    """Return how many looks are enough: of Keras there is one, at the end, at many images."""
    return 1 if _is_keras(signals) else 3


def _dead_output(share: float) -> Found:
    return Found(
        subject=f"{share:.0%} of the outputs are exactly 0: the ReLU at the output has died.",
        remedy="Leave the output linear; for counts use softplus or a log link.",
        grade="measured",
        where=("output",),
    )


def saturated(signals: Signals) -> Answered:
    """Sigmoid or tanh units stand at their ends."""
    shares = {layer: finite(s) for layer, s in signals.by_layer("saturation").items()}
    if not shares:
        return (
            Fine("no sigmoid or tanh was seen")
            if signals.series
            else Unchecked(signals.why_missing("series"))
        )
    last_layer = list(shares)[-1]
    objective = trained_objective(signals)
    at_output = objective is not None and objective.activation in {"sigmoid", "tanh"}
    ends = {
        layer: median(values[-max(1, len(values) // 4) :])
        for layer, values in shares.items()
        if len(values) >= _looks(signals) and not (at_output and layer == last_layer)
    }
    hurt = {layer: share for layer, share in ends.items() if share > 0.8}
    learnt = train_accuracy(signals)
    if not hurt or (learnt is not None and learnt > 0.9):
        return Fine(
            f"at most {max(ends.values(), default=0.0):.0%} of a layer's values stand at its ends"
        )
    layer = max(hurt, key=lambda name: hurt[name])
    return Found(
        subject=f"{hurt[layer]:.0%} of the values of '{layer}' stand at the ends of their "
        "range: gradients vanish there.",
        remedy="Scale inputs to about -1 to 1, leave first weights at the library's own, or put "
        "nn.ReLU() in the place "
        "of sigmoid and tanh between layers.",
        grade="measured",
        where=tuple(hurt),
        severity="note" if learns(signals) else None,
    )


def no_nonlinearity(signals: Signals) -> Answered:
    """Layers follow each other with nothing between: together they are one linear map."""
    layers = signals.layers or ()
    weighted = [layer for layer in layers if layer.kind in _LINEAR]
    functions = [s.layer for s in signals.series or () if s.name in {"zero_fraction", "saturation"}]
    if len(weighted) < 2:
        return Fine("there are no two layers that need something between them")
    between = layers[: layers.index(weighted[-1])]
    if any(layer.kind not in _HARMLESS for layer in between) or (
        functions and not _is_keras(signals)
    ):
        return Fine("activations stand between layers")
    if not _shows_functions(signals):
        return Unchecked("functions called between layers are not all seen")
    return Found(
        subject=f"{len(weighted)} layers with weights follow each other without an activation: "
        "together they are one linear map.",
        evidence=tuple(layer.name for layer in weighted[:5]),
        remedy='Put nn.ReLU() between the layers (in Keras activation="relu" in each but the last).',
        grade="fact",
        where=tuple(layer.name for layer in weighted),
    )


def softmax_within(signals: Signals) -> Answered:
    """A softmax stands between layers: its outputs sum to 1, so next to nothing of a layer comes through."""
    layers = signals.layers or ()
    weighted = [layer for layer in layers if layer.kind in _LINEAR]
    if len(weighted) < 2 or not _shows_functions(signals):
        return Unchecked("the order in which layers compute is not sure")
    inner = layers[: layers.index(weighted[-1])]
    hurt = [layer.name for layer in inner if layer.kind.lower() == "softmax"]
    if not hurt:
        return Fine("no softmax stands between layers")
    learnt = train_accuracy(signals)
    return Found(
        subject=f"A softmax stands between layers ('{hurt[0]}'): its outputs sum to 1, so each is tiny and "
        "hardly any gradient comes through.",
        evidence=tuple(hurt[:5]),
        remedy="Use ReLU between layers, and softmax at the very end only, if at all.",
        grade="fact",
        where=tuple(hurt),
        severity="note" if learnt is not None and learnt > _LEARNT else None,
    )


_LEARNT = 0.85


def _is_keras(signals: Signals) -> bool:
    return signals.framework.startswith("keras")


def _shows_functions(signals: Signals) -> bool:
    """Return whether nothing can stand between layers that is no layer."""
    if _is_keras(signals):
        return "functions" not in signals.missing
    return all(layer.name.rsplit(".", 1)[-1].isdigit() for layer in signals.layers or ())


def too_much_dropout(signals: Signals) -> Answered:
    """Dropout takes away so much that training images are not learnt."""
    rates = {
        layer.name: layer.settings["p"]
        for layer in signals.layers or ()
        if layer.kind.startswith("Dropout") and layer.settings and "p" in layer.settings
    }
    heavy = {name: rate for name, rate in rates.items() if rate >= 0.75}
    if not heavy:
        return Fine(f"dropout of at most {max(rates.values(), default=0.0):g}")
    learnt = train_accuracy(signals)
    if learnt is None or learnt > 0.85:
        return Fine("dropout is strong, and training images are learnt all the same")
    return Found(
        subject=f"Dropout takes {max(heavy.values()):.0%} of a layer, and training images are not learnt "
        f"(accuracy {learnt:.2f}).",
        remedy="Use nn.Dropout(0.2) to nn.Dropout(0.5).",
        grade="pattern",
        where=tuple(heavy),
        changes=(("model.dropout", "0.2"),),
    )
