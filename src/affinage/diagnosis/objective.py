"""A loss that does not fit what it is given."""

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.keras_words import in_keras
from affinage.diagnosis.reading import (
    majority,
    outputs_of,
    targets_of,
    train_accuracy,
    trained_objective,
)
from affinage.records.signals import Signals
from affinage.records.training_facts import Objective

_SQUARED = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss"}


def loss_activation(signals: Signals) -> Answered:
    """The output activation and the loss contradict each other, or the targets.

    Source: PyTorch's and Keras' documentation of each loss: what it takes (logits or probabilities).
    """
    objective = trained_objective(signals)
    if objective is None or objective.name == "unknown":
        return Unchecked("the loss was not recognised")
    reason = _over_the_batch(signals) or _contradiction(objective, signals)
    if reason is None:
        return Fine(f"{objective.name} after activation '{objective.activation}'")
    if signals.framework.startswith("keras"):
        reason = in_keras(objective) or reason
    problem, remedy = reason
    return Found(
        subject=problem,
        evidence=(f"loss {objective.name}, activation before it: {objective.activation}",),
        remedy=remedy,
        grade="fact",
        where=("loss",),
        severity="warning" if _is_slow_at_worst(objective, signals) else None,
    )


def _over_the_batch(signals: Signals) -> tuple[str, str] | None:
    outputs = outputs_of(signals)
    if outputs is None or outputs.columns_sum_to_one < _NEARLY_ALWAYS:
        return None
    return (
        "Softmax runs over the images of a batch and not over the classes: each class's outputs sum to 1 "
        "over the batch, so what an image gets depends on the other images.",
        "Write dim=1: nn.LogSoftmax(dim=1), torch.softmax(outputs, dim=1); or leave it out and use "
        "nn.CrossEntropyLoss() on the raw outputs.",
    )


_NEARLY_ALWAYS = 0.9


def _is_slow_at_worst(objective: Objective, signals: Signals) -> bool:
    """Return whether the pair can learn, if slowly: squared error on one-hot labels."""
    targets = targets_of(signals)
    return objective.name in _SQUARED and targets is not None and targets.encoding == "one-hot"


def _contradiction(objective: Objective, signals: Signals) -> tuple[str, str] | None:
    name, activation = objective.name, _activation(objective, signals)
    targets = targets_of(signals)
    encoding = targets.encoding if targets else ""
    if name == "cross_entropy" and objective.from_logits is not False:
        return _of_cross_entropy(activation)
    if name == "nll_loss" and activation in {"none", "softmax", "sigmoid", "relu"}:
        return (
            f"nll_loss takes logarithms of probabilities, and gets {_words(activation)}.",
            "Use cross_entropy on the raw outputs, or log_softmax before nll_loss.",
        )
    if name == "binary_cross_entropy_with_logits" and activation in {"sigmoid", "softmax", "relu"}:
        return (
            f"The loss applies a sigmoid of its own, and its input already went through {activation}.",
            f"Remove the {activation} at the output.",
        )
    if name == "binary_cross_entropy" and activation in {"none", "relu"}:
        return (
            f"binary_cross_entropy takes probabilities, and gets {_words(activation)}.",
            "Use binary_cross_entropy_with_logits on the raw outputs.",
        )
    if name == "binary_cross_entropy" and activation == "softmax" and encoding == "multi-hot":
        return (
            "Several labels can be right at once, but softmax lets their probabilities sum to 1.",
            "Use a sigmoid: binary_cross_entropy_with_logits on the raw outputs.",
        )
    return _of_numbers(name, activation, encoding, signals)


def _activation(objective: Objective, signals: Signals) -> str:
    outputs = outputs_of(signals)
    if objective.activation != "unknown" or outputs is None or (objective.outputs or 0) < 2:
        return objective.activation
    return "softmax" if outputs.rows_sum_to_one > 0.99 else "unknown"


def _words(activation: str) -> str:
    return "raw outputs" if activation == "none" else f"outputs of {activation}"


def _of_cross_entropy(activation: str) -> tuple[str, str] | None:
    if activation == "softmax":
        return (
            "Softmax is applied twice: once in the network and once inside cross_entropy, "
            "so gradients fade.",
            "Remove the softmax from the network; cross_entropy takes the raw outputs.",
        )
    if activation in {"sigmoid", "relu", "tanh"}:
        return (
            f"cross_entropy takes raw outputs of any size, and {activation} cuts them off.",
            f"Remove the {activation} at the output.",
        )
    return None


def _of_numbers(
    name: str, activation: str, encoding: str, signals: Signals
) -> tuple[str, str] | None:
    """Counts and real numbers, which some activations cannot reach."""
    targets = targets_of(signals)
    if name not in _SQUARED or targets is None:
        return None
    if encoding == "one-hot" and activation in {"softmax", "sigmoid"} and _learns_badly(signals):
        return (
            f"{name} compares probabilities of classes: where {activation} is sure of a wrong class, hardly "
            "any gradient is left, and training images are not learnt.",
            "Use cross-entropy: nn.CrossEntropyLoss() on the raw outputs; in Keras softmax with "
            "categorical_crossentropy.",
        )
    bounded = {"softmax": 1.0, "sigmoid": 1.0, "tanh": 1.0}
    if activation in bounded and encoding in {"counts", "real"} and targets.maximum > 1.0:
        what = "sum to 1" if activation == "softmax" else "stay below 1"
        return (
            f"Outputs of {activation} {what}, and targets reach {targets.maximum:g}: they "
            "can never be met.",
            "Leave the output linear, or use softplus or exp with a Poisson loss for counts.",
        )
    if name == "poisson_nll_loss" and activation == "exp":
        return (
            "poisson_nll_loss takes the logarithm of the rate, and gets the exponential of it.",
            "Remove the exp, or set log_input=False.",
        )
    if (
        activation in {"relu", "softplus", "exp", "sigmoid"}
        and encoding == "real"
        and targets.minimum < 0
    ):
        return (
            f"Targets reach {targets.minimum:g}, and outputs of {activation} are never negative.",
            "Leave the output linear.",
        )
    return None


def _learns_badly(signals: Signals) -> bool:
    """Return whether training images are learnt less than half the way from always saying one class."""
    learnt, base = train_accuracy(signals), majority(signals, "train (evaluation mode)")
    return learnt is not None and base is not None and learnt < base[0] + 0.5 * (1 - base[0])


def stretched(signals: Signals) -> Answered:
    """The loss stretches outputs over targets of another shape."""
    objective = trained_objective(signals)
    if objective is None or objective.shapes is None:
        return Unchecked("the shapes that reached the loss were not seen")
    outputs, targets = objective.shapes
    if not objective.shapes_differ:
        return Fine(f"outputs of shape {outputs} and targets of shape {targets}")
    return Found(
        subject=f"The loss compares outputs of shape {outputs} with targets of shape {targets}: "
        "each output is compared with every target of the batch.",
        remedy="Give both one shape: outputs.squeeze(1) or targets.unsqueeze(1).",
        grade="fact",
        where=("loss",),
    )


def outputs_for_classes(signals: Signals) -> Answered:
    """The number of outputs is not that of the classes."""
    objective, targets = trained_objective(signals), targets_of(signals)
    if objective is not None and (objective.outputs, objective.activation) == (1, "softmax"):
        return Found(
            subject="Softmax over one single output is 1 for every image: nothing can be learnt.",
            remedy="Use a sigmoid with binary cross-entropy, or one output per class with softmax.",
            grade="fact",
        )
    if objective is not None and targets is not None and targets.by_value:
        return _of_class_numbers(objective, targets.by_value, signals)
    if objective is None or objective.outputs is None or targets is None or not targets.by_class:
        return Unchecked("outputs or classes are not known")
    present = sum(1 for n in targets.by_class if n)
    whole = targets.n >= (signals.images or {}).get("train", 10**9)
    outputs = objective.outputs
    if objective.name in {"cross_entropy", "nll_loss"} and outputs == 1:
        return Found(
            subject="One single output under a softmax loss: it is always 1, and nothing can be learnt.",
            remedy="Give one output per class, or use binary_cross_entropy_with_logits.",
            grade="fact",
        )
    if whole and present >= 2 and outputs >= 2 * present and outputs - present >= 5:
        return Found(
            subject=f"The network has {outputs} outputs and the training labels {present} classes.",
            remedy=f"Give the last layer {present} outputs: a head of another data set may still be on.",
            grade="fact",
            alternatives=otherwise(
                "classes that have no image yet", "more than half would be without one"
            ),
        )
    return Fine(f"{outputs} outputs for {present} classes")


def _of_class_numbers(objective: Objective, counts: tuple[int, ...], signals: Signals) -> Answered:
    """One output that is to guess the number of a class: told from counts by shares that are all alike."""
    used = [n for n in counts if n]
    alone = objective.outputs in {1, None} and objective.name in _SQUARED
    few = len(used) < _CLASSES or sum(used) < _SEEN or len(used) < len(counts) - 1
    if not alone or few or max(used) > _ALIKE * min(used):
        return Fine("targets are counts, not numbers of classes")
    compared = signals.comparisons or ()
    scored = bool(compared) or any(p.series == "accuracy" for p in signals.points)
    # Whoever compares numbers, rounded or not, means numbers: whether they are classes is then a question.
    scored = scored and all(each.of == "class indices" for each in compared)
    return Found(
        subject=f"One single output is trained to hit the numbers {len(counts) - len(used)} to "
        f"{len(counts) - 1}, which come about equally often: they look like numbers of {len(used)} classes.",
        evidence=(f"each of them comes {min(used)} to {max(used)} times",),
        remedy=f"If they are classes: give the last layer {len(used)} outputs, and use cross-entropy on the "
        "class numbers (nn.CrossEntropyLoss(); in Keras softmax with sparse_categorical_crossentropy). "
        "If they are counts, all is well.",
        grade="pattern",
        where=("output",),
        severity=None if scored else "note",
        alternatives=otherwise("counts", "counts are rarely spread so evenly"),
    )


_CLASSES, _SEEN, _ALIKE = 3, 100, 2.0
"""Values from which on, and targets seen; and how much oftener the most frequent one may come."""
