"""Numbers of a size that a network trained from scratch cannot learn well from."""

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked
from affinage.diagnosis.reading import (
    finite,
    ignoring_loss,
    inputs_of,
    majority,
    tail,
    train_accuracy,
)
from affinage.records.signals import Signals

_FEW = 8


def not_scaled(signals: Signals) -> Answered:
    """Numbers as large as a file holds them reach a network that was not trained before.

    It warns where training images are not learnt, and the first layer is followed by no normalisation that
    would undo the scale.

    Source: LeCun et al., Efficient BackProp, 1998, section 4.3 (inputs about 0 with a spread about 1).
    """
    seen = inputs_of(signals)
    if seen is None or seen.n < _FEW:
        return Unchecked("too few inputs were looked at")
    if signals.expected is not None and signals.pretrained is not False:
        return Fine("how a pretrained network wants its images is another question")
    largest, spread = max(abs(seen.minimum), abs(seen.maximum)), sum(seen.std) / len(seen.std)
    kinds = [
        layer.kind for layer in signals.layers or () if layer.parameters or layer.kind in _SCALES
    ]
    if largest < _LARGE or spread < _WIDE or any(kind in _SCALES for kind in kinds[:1]):
        return Fine(
            f"inputs lie between {seen.minimum:.3g} and {seen.maximum:.3g}, or are normalised first"
        )
    normed = any(kind.startswith(_NORMS) for kind in kinds[:3])
    harmed = not normed and _is_harmed(signals)
    pixels = seen.minimum >= 0 and 200 < seen.maximum <= 255
    return Found(
        subject=f"Inputs reach the network as numbers from {seen.minimum:.3g} to {seen.maximum:.3g}"
        + (", as pixels are stored" if pixels else "")
        + ": first layers work best with numbers between about -2 and 2.",
        evidence=(f"spread (standard deviation) {spread:.3g}, over {seen.n} inputs",),
        remedy="Divide pixels by 255 (transforms.ToTensor() does); bring each column of a table to mean 0 "
        "and spread 1 (sklearn's StandardScaler, fitted on the training part).",
        grade="fact",
        where=("train",),
        severity=None if harmed else "note",
    )


_LARGE, _WIDE = 20.0, 5.0
_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "Normalization")
_SCALES = {
    "BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm", "InstanceNorm2d", "Embedding", "Rescaling",
    "Normalization", "BatchNormalization", "LayerNormalization", "Lambda", "TextVectorization",
}  # fmt: skip
"""Layers after which the scale of the inputs does not matter, or that set it themselves."""


def _is_harmed(signals: Signals) -> bool:
    """Return whether training images are not learnt: half the way to 1, or better than saying the mean."""
    learnt = train_accuracy(signals)
    base = majority(signals, "train (evaluation mode)") or majority(signals, "validation")
    if learnt is not None and base is not None:
        return learnt < base[0] + 0.5 * (1 - base[0])
    floor, end = ignoring_loss(signals), tail(finite(signals.series_of("loss")))
    return floor is not None and (end is None or end > 0.9 * floor)
