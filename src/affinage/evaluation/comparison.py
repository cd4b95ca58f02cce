"""Which of two models to keep, decided on the same validation images."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.calibration import fit_temperature
from affinage.metrics.classification import check_labels, log_losses, softmax
from affinage.metrics.intervals import paired_difference
from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The model to keep.

    Attributes:
        winner: `head` or `finetuned`.
        reason: One sentence with the numbers.
        head_loss: Mean log loss of the head after its temperature, nats.
        finetuned_loss: That of the fine-tuned model.
        difference: Accuracy of the fine-tuned model minus that of the head, paired.
    """

    winner: Literal["head", "finetuned"]
    reason: str
    head_loss: float
    finetuned_loss: float
    difference: Estimate


def choose_between(head: ArrayLike, finetuned: ArrayLike, labels: ArrayLike) -> Choice:
    """Return which of two models to keep, by log loss once each has its best temperature.

    Log loss uses every image, where accuracy uses only the few on which the two differ; a
    fine-tuned network is over-confident, which costs it log loss though it may rank the
    classes better, and a temperature mends just that. The temperature is one number, fitted
    on the same images for both, so it favours neither. A tie keeps the head, which is simpler.

    Args:
        head: Logits of the head on frozen features, shape (n, classes).
        finetuned: Logits of the fine-tuned model on the same images, shape (n, classes).
        labels: True class indices, shape (n,).

    Raises:
        DataError: If the shapes disagree, a logit is not finite, or there is no image.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017; interval: Newcombe 1998.
    """
    tables = np.asarray(head, dtype=np.float64), np.asarray(finetuned, dtype=np.float64)
    if tables[0].shape != tables[1].shape or tables[0].ndim != 2 or not len(tables[0]):
        raise DataError(
            f"Two models compare on the same images, not {tables[0].shape} and {tables[1].shape}.",
            remedy="Give the logits of both on one validation part with images in it.",
        )
    truth = check_labels(labels, tables[0].shape[1])
    losses = [calibrated_loss(table, truth) for table in tables]
    right = [table.argmax(axis=1) == truth for table in tables]
    difference = paired_difference(right[1], right[0])
    winner: Literal["head", "finetuned"] = "finetuned" if losses[1] < losses[0] else "head"
    return Choice(
        winner=winner,
        reason=_reason(winner, losses, right, difference),
        head_loss=losses[0],
        finetuned_loss=losses[1],
        difference=difference,
    )


def prediction_fingerprint(images: Iterable[str]) -> str:
    """Return the SHA-256 over sorted image ids: the same test part has the same one.

    Each id is preceded by its length, so that no two sets of ids read alike.
    """
    digest = hashlib.sha256()
    for image in sorted(set(images)):
        name = image.encode("utf-8", "surrogateescape")
        digest.update(f"{len(name)}:".encode() + name)
    return digest.hexdigest()


def calibrated_loss(logits: ArrayLike, labels: NDArray[np.int64]) -> float:
    """Return the mean log loss at the temperature that makes it least, in nats.

    What a model is worth once its confidence is set right: a model that was trained with label
    smoothing is too modest, one that was trained for long too sure, and neither is the worse for it.

    Args:
        logits: Shape (n, classes).
        labels: True class indices, shape (n,).

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    logits = np.asarray(logits, dtype=np.float64)
    temperature = fit_temperature(logits, labels)
    return float(log_losses(softmax(logits / temperature), labels).mean())


def _reason(
    winner: str,
    losses: list[float],
    right: list[NDArray[np.bool_]],
    difference: Estimate,
) -> str:
    points = [100 * (end or 0.0) for end in (difference.value, difference.low, difference.high)]
    verdict = (
        "Fine-tuning helped, so its model was kept"
        if winner == "finetuned"
        else "Fine-tuning did not help, so the head on frozen features was kept"
    )
    return (
        f"{verdict}: on {difference.n} validation images its log loss at the best temperature is "
        f"{losses[1]:.3f} against {losses[0]:.3f}, and it is right on {int(right[1].sum())} "
        f"against {int(right[0].sum())} (difference {points[0]:+.1f} points, 95 % "
        f"interval {points[1]:+.1f} to {points[2]:+.1f})."
    )
