"""Kinds of fault, and the names that are right for each."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault.

    Attributes:
        right: Codes that name it rightly; any of them will do.
        also: Codes that are true of every such training beside it: neither right nor false.
        runs: How many trainings have it.
        networks: In which networks it can be; empty = all from scratch.
        data: In which sets; empty = all.
        settings: Of the case, that it needs.
    """

    right: frozenset[str]
    also: frozenset[str] = frozenset()
    runs: int = 6
    networks: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def _fault(right: str, **rest: Any) -> Fault:
    return Fault(right=frozenset(right.split()), **rest)


_LITE = {"networks": ("lite0",), "data": ("flowers12", "mushrooms4", "malaria"), "runs": 4}
_WILD = "learning-rate-too-high loss-not-a-number exploding-gradient dead-units saturated-units"
_LONG = {"settings": {"epochs": 25}}

FAULTS: dict[str, Fault] = {
    "sorted images": _fault("unshuffled-training"),
    "leak": _fault("split-leak"),
    "validation is training": _fault("validation-is-training"),
    "other order of labels": _fault(
        "label-order-mismatch", data=("digits", "mushrooms4", "cifar10"), **_LONG
    ),
    "softmax twice": _fault("loss-activation-mismatch"),
    "sigmoid before softmax loss": _fault("loss-activation-mismatch"),
    "relu before softmax loss": _fault("loss-activation-mismatch dead-units"),
    "softmax under squared error on counts": _fault("loss-activation-mismatch"),
    "all frozen": _fault("nothing-trainable"),
    "rate of zero": _fault("nothing-trainable learning-rate-too-low"),
    "head not in optimizer": _fault("parameters-not-in-optimizer"),
    "rate too high": _fault(_WILD, runs=10),
    "rate too low": _fault("learning-rate-too-low"),
    "gradients not zeroed": _fault("gradients-not-zeroed"),
    "frozen norms in training mode": _fault("frozen-batchnorm-in-training-mode", **_LITE),
    "wrong preprocessing": _fault("preprocessing-mismatch", **_LITE),
    "parts scaled differently": _fault("parts-scaled-differently"),
    "dead units": _fault("dead-units", networks=("mlp", "conv_plain")),
    "vanishing gradient": _fault("vanishing-gradient saturated-units", networks=("deep_sigmoid",)),
    "exploding gradient": _fault(f"{_WILD} first-loss-too-high", networks=("deep_wild",)),
    "no activation": _fault("no-activation-between-layers", networks=("linear_stack",)),
    "augmentation in evaluation": _fault("augmentation-in-evaluation"),
    "flat images": _fault("constant-inputs"),
    "few images again and again": _fault("repeated-inputs"),
    "labels torn from images": _fault(
        "memorising", networks=("mlp",), settings={"epochs": 60, "images": 250}
    ),
    "class missing from training": _fault(
        "class-not-in-training", also=frozenset({"class-shares-differ"})
    ),
    "other shares of classes": _fault(
        "class-shares-differ", also=frozenset({"class-not-in-training"})
    ),
    "weight decay too strong": _fault("weight-decay-too-strong"),
    "dropout too strong": _fault("too-much-dropout underfitting", networks=("mlp", "conv_norm")),
    "head starts too large": _fault("first-loss-too-high"),
    "schedule never stepped": _fault("schedule-idle"),
    "decayed too soon": _fault("decayed-too-soon"),
    "batches of two": _fault("batchnorm-tiny-batches", networks=("conv_norm", "residual")),
    "rounded too late": _fault(
        "metric-rounded-too-late", also=frozenset({"accuracy-on-counts"})
    ),
    "accuracy on counts": _fault("accuracy-on-counts"),
    "stretched in the loss": _fault("broadcast-in-loss"),
    "outputs of another set": _fault("outputs-do-not-fit-classes"),
    "slow loader": _fault("data-starved"),
    "ended too early": _fault(
        "not-converged learning-rate-too-low", networks=("mlp",), settings={"rate": 1e-4}
    ),
    "overfitting": _fault(
        "overfitting", networks=("mlp",), data=("flowers12", "cifar10", "malaria", "mushrooms4"),
        settings={"epochs": 60, "images": 120, "rate": 2e-3},
    ),
    "too small a network": _fault("underfitting", networks=("bottleneck",), settings={"epochs": 25}),
    "rare classes": _fault(
        "rare-classes-lost class-not-in-training", data=("digits", "malaria"),
        also=frozenset({"class-shares-differ"}),
    ),
    "detached": _fault("parameters-without-gradient", networks=("conv_plain", "conv_norm")),
    "statistics of all parts": _fault("statistics-of-all-parts"),
    "noise that no seed governs": _fault("results-change-with-seed-kept"),
    "images not scaled": _fault("inputs-not-scaled", networks=("mlp", "conv_plain"), runs=16),
    "units begin equal": _fault("weights-begin-equal", networks=("mlp", "conv_plain"), runs=16),
    "softmax between layers": _fault("softmax-between-layers", networks=("mlp",), runs=14),
}  # fmt: skip
