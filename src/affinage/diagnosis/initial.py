"""First weights that leave the units of a layer nothing to tell them apart by."""

from collections.abc import Sequence

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked
from affinage.diagnosis.reading import finite, train_accuracy
from affinage.records.signals import Signals

_WEIGHTED = {"Linear", "Conv1d", "Conv2d", "Dense", "Conv1D", "Conv2D"}


def begin_equal(signals: Signals) -> Answered:
    """All units of a hidden layer began with the same weights, and stayed equal.

    Units with equal weights compute the same, get the same gradient and stay equal: the layer is worth one
    unit. The last layer is left out, since its targets tell its units apart; so is a layer whose units
    parted later, as a residual branch that begins at zero does.

    Source: Goodfellow et al., Deep Learning, 2016, section 8.4 (initial parameters must break symmetry).
    """
    shares = signals.by_layer("equal_units")
    if not shares and not signals.by_layer("weight_norm"):
        return Unchecked(f"first weights were not seen: {signals.why_missing('series')}")
    hidden = [layer.name for layer in signals.layers or () if layer.kind in _WEIGHTED][:-1]
    stuck = [name for name in hidden if name in shares and _stays(finite(shares[name]))]
    learnt = train_accuracy(signals)
    if not stuck:
        return Fine("units of the hidden layers began with different weights, or parted")
    return Found(
        subject=f"All units of {names(stuck)} began with the same weights and are still equal: "
        "the layer can learn no more than one single unit could.",
        remedy=REMEDY,
        grade="fact",
        where=tuple(stuck),
        severity="note" if learnt is not None and learnt > _WELL else None,
    )


_WELL, NAMED = 0.9, 3
REMEDY = (
    "Leave first weights at the library's own: take out the lines that set them to zeros, ones or another "
    "constant (biases may begin at zero)."
)


def _stays(values: list[float]) -> bool:
    return len(values) >= 3 and values[0] == values[-1] == 1.0


def all_begin_equal(signals: Signals) -> tuple[str, ...]:
    """Return the hidden layers where there are several and the units of each began equal; else nothing."""
    shares = signals.by_layer("equal_units")
    hidden = [layer.name for layer in signals.layers or () if layer.kind in _WEIGHTED][:-1]
    began = [name for name in hidden if name in shares and finite(shares[name])[:1] == [1.0]]
    return tuple(began) if len(began) == len(hidden) > 1 else ()


def names(layers: Sequence[str]) -> str:
    """Return the first few layers in words."""
    return " and ".join(f"layer '{name}'" for name in layers[:NAMED])
