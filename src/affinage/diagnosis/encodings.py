"""How labels are written, phase by phase, against the loss that reads them."""

from itertools import pairwise

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked
from affinage.diagnosis.reading import targets_of, trained_objective
from affinage.records.signals import Signals
from affinage.records.training_facts import Objective, TargetFacts

_NOISE, _MOVED = 0.02, 0.1
"""Shares of images: what a last batch left out may move, and what only other numbers move."""

_ONE_CLASS = {"class indices", "one-hot", "probabilities"}
_YES_OR_NO = {"binary_cross_entropy", "binary_cross_entropy_with_logits"}


def encodings(signals: Signals) -> Answered:
    """Labels are written otherwise than a loss reads them, or numbered otherwise in another phase.

    Source: PyTorch's and Keras' documentation of each loss: class indices, or one row per image that sums
    to 1 (cross-entropy); numbers from 0 to 1 (binary cross-entropy).
    """
    phases = [(o.name, t) for o, t in map(_phase, (*signals.earlier, signals)) if o and t]
    if not phases:
        return Unchecked("no loss was seen together with its targets")
    for number, (loss, targets) in enumerate(phases, start=1):
        problem = _misread(loss, targets)
        if problem:
            where = f"phase {number}" if len(phases) > 1 else "loss"
            numbers = loss in _YES_OR_NO and targets.whole and targets.maximum > 1
            return _found(
                f"Labels are {targets.encoding}, and {loss} {problem}.",
                where,
                _CLASSES if numbers else _AS_READ,
            )
    shifted = _renumbered([targets for _, targets in phases])
    if shifted:
        return _found(
            f"Classes are numbered otherwise in phase {shifted + 1} than in phase {shifted}: the shares of "
            "the classes are the same, in another order.",
            f"phase {shifted + 1}",
        )
    return Fine(
        ", then ".join(f"{targets.encoding} under {loss}" for loss, targets in phases)
        + (": each fits its loss" if len(phases) > 1 else ": they fit")
    )


def _phase(signals: Signals) -> tuple[Objective | None, TargetFacts | None]:
    return trained_objective(signals), targets_of(signals)


def _misread(loss: str, targets: TargetFacts) -> str:
    if loss == "cross_entropy" and targets.encoding not in _ONE_CLASS:
        return "reads one class per image, or a row of probabilities that sums to 1"
    if loss in _YES_OR_NO and not 0.0 <= targets.minimum <= targets.maximum <= 1.0:
        return f"reads numbers from 0 to 1, not {targets.minimum:g} to {targets.maximum:g}"
    return ""


def _renumbered(phases: list[TargetFacts]) -> int:
    """Return after which phase classes have the same shares in another order; 0 where they never do."""
    for number, (one, other) in enumerate(pairwise(phases), start=1):
        first, second = (_shares(targets) for targets in (one, other))
        same_sorted = _distance(sorted(first), sorted(second)) < _NOISE
        if same_sorted and _distance(first, second) > _MOVED:
            return number
    return 0


def _distance(one: list[float], other: list[float]) -> float:
    """Return the share of images that would have to change their class; 0 where that cannot be told."""
    if len(one) != len(other):
        return 0.0
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2


def _shares(targets: TargetFacts) -> list[float]:
    counts = targets.by_class if targets.encoding in _ONE_CLASS else None
    return [n / sum(counts) for n in counts] if counts and sum(counts) else []


_AS_READ = (
    "Write labels as the loss reads them: class indices (sparse), or one-hot rows for a loss over rows; "
    "number the classes once, for all phases."
)
_CLASSES = (
    "If labels are numbers of classes: give the last layer one output per class, and use cross-entropy "
    "(nn.CrossEntropyLoss; in Keras softmax and sparse_categorical_crossentropy)."
)


def _found(subject: str, where: str, remedy: str = _AS_READ) -> Found:
    return Found(
        subject=subject,
        remedy=remedy,
        grade="fact",
        where=(where,),
    )
