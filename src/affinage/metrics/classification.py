"""Scores of class predictions, each a function of plain arrays.

Classes are indices 0..classes-1. Probabilities have shape (n, classes) and rows that sum to 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax as _softmax

from affinage.errors import DataError

SMALLEST_PROBABILITY = 1e-15
"""Probabilities below it count as this much in a log loss: one sure mistake costs 34.5 nats."""


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities of logits along the last axis, safe for logits of any size."""
    probabilities: NDArray[np.float64] = _softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    return probabilities


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return counts, shape (classes, classes): row = true class, column = predicted class.

    Args:
        truth: True class indices, shape (n,).
        predicted: Predicted class indices, shape (n,).
        classes: How many classes there are, at least 1.

    Raises:
        DataError: If the shapes disagree or an index is not in 0..classes-1.
    """
    rows, columns = check_labels(truth, classes), check_labels(predicted, classes)
    if rows.shape != columns.shape:
        raise _different(len(rows), len(columns))
    counts = np.bincount(rows * classes + columns, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of right predictions, in [0, 1].

    Raises:
        DataError: If the shapes disagree or there is nothing to measure.
    """
    right = np.asarray(truth), np.asarray(predicted)
    if right[0].shape != right[1].shape:
        raise _different(right[0].size, right[1].size)
    if not right[0].size:
        raise _nothing()
    return float(np.mean(right[0] == right[1]))


def recalls(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return each class's share of its images that was found; NaN where it has none.

    Args:
        counts: Confusion counts, shape (..., classes, classes).
    """
    return _ratio(_diagonal(counts), counts.sum(axis=-1))


def precisions(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return, of the images predicted as each class, the share that is; NaN where there are none.

    Args:
        counts: Confusion counts, shape (..., classes, classes).
    """
    return _ratio(_diagonal(counts), counts.sum(axis=-2))


def f1_scores(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return each class's F1 in [0, 1]; NaN where the class neither occurs nor is predicted.

    Args:
        counts: Confusion counts, shape (..., classes, classes).

    Source:
        van Rijsbergen, Information Retrieval, 1979: 2 TP / (2 TP + FP + FN).
    """
    return _ratio(2 * _diagonal(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def balanced_accuracy(counts: NDArray[np.integer]) -> float | NDArray[np.float64]:
    """Return the mean recall over the classes that occur; NaN where none does.

    Args:
        counts: Confusion counts, shape (classes, classes), or (draws, classes, classes).

    Returns:
        A number in [0, 1], or one for each draw.

    Source:
        Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, 2010.
    """
    return _mean_where(recalls(counts), counts.sum(axis=-1) > 0)


def macro_f1(counts: NDArray[np.integer]) -> float | NDArray[np.float64]:
    """Return the mean F1 over the classes that occur (in the truth); NaN where none does.

    A class that is only predicted lowers the F1 of those it took images from; it has no place
    of its own in the mean, which thus does not depend on the model.

    Args:
        counts: Confusion counts, shape (classes, classes), or (draws, classes, classes).

    Source:
        Lewis, Evaluating Text Categorization, 1991 (macro-averaging).
    """
    return _mean_where(f1_scores(counts), counts.sum(axis=-1) > 0)


def log_losses(probabilities: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return -ln p(truth) of each image, in nats, shape (n,).

    Args:
        probabilities: Shape (n, classes), each in [0, 1]; those of the truth are clipped to
            at least 1e-15, so that one impossible answer costs 34.5 nats, not infinity.
        labels: True class indices, shape (n,).

    Raises:
        DataError: If the shapes disagree or a probability is not a number in [0, 1].
    """
    table, truth = check_probabilities(probabilities, labels)
    chosen = table[np.arange(len(truth)), truth]
    losses: NDArray[np.float64] = -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))
    return losses + 0.0  # No negative zeros for the sure and right.


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean of -ln p(truth), in nats, clipped as `log_losses` says.

    Raises:
        DataError: If the shapes disagree, a probability is not one, or there is nothing to measure.
    """
    losses = log_losses(probabilities, labels)
    if not losses.size:
        raise _nothing()
    return float(losses.mean())


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy, weighted by bin size.

    Args:
        probabilities: Class probabilities, shape (n, classes), rows summing to 1.
        labels: True class indices, shape (n,).
        bins: Number of equal intervals of (0, 1]; values compare only at the same `bins`.

    Returns:
        A gap in [0, 1]: 0 is perfect; 0.05 means 5 percentage points off on average.

    Raises:
        DataError: If the shapes disagree or there is nothing to measure.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3.
    """
    table, truth = check_probabilities(probabilities, labels)
    if not truth.size:
        raise _nothing()
    confidence = table.max(axis=1)
    right = table.argmax(axis=1) == truth
    # Right-closed intervals; a confidence of 0 (no such row sums to 1) would fall in the first.
    chosen = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    gaps = np.bincount(chosen, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def check_labels(labels: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return labels as indices of shape (n,), each in 0..classes-1.

    Raises:
        DataError: If they are not.
    """
    values = np.asarray(labels)
    if values.size == 0:
        values = values.astype(np.int64)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"Labels are class indices of shape (n,), not {values.dtype} of shape {values.shape}.",
            remedy="Give one whole number for each image.",
        )
    if values.size and (values.min() < 0 or values.max() >= classes):
        wrong = int(values.min()) if values.min() < 0 else int(values.max())
        raise DataError(
            f"A label is {wrong}, but classes are numbered 0..{classes - 1}.",
            remedy="Number the labels by the same list of classes as the model.",
        )
    return values.astype(np.int64)


def check_probabilities(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities (n, classes) and labels (n,) that fit each other.

    Raises:
        DataError: If the shapes disagree, or a probability is not a number in [0, 1].
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(
            f"Probabilities have shape (n, classes), not {table.shape}.",
            remedy="Give one row for each image and one column for each class.",
        )
    truth = check_labels(labels, table.shape[1])
    if len(table) != len(truth):
        raise _different(len(truth), len(table))
    if table.size and not (table.min() >= 0 and table.max() <= 1 + 1e-6):
        raise DataError(
            f"Probabilities lie in [0, 1], not in [{table.min():g}, {table.max():g}].",
            remedy="Give the softmax of the logits; if there is NaN among them, find its cause.",
        )
    return table, truth


def _diagonal(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(above: NDArray[np.integer], below: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return above / below, NaN where below is 0."""
    ratio = np.full(below.shape, np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _mean_where(
    values: NDArray[np.float64], counted: NDArray[np.bool_]
) -> float | NDArray[np.float64]:
    total = np.where(counted, values, 0.0).sum(axis=-1)
    how_many = counted.sum(axis=-1)
    mean = np.where(how_many > 0, total / np.maximum(how_many, 1), np.nan)
    return float(mean) if mean.ndim == 0 else mean


def _different(labels: int, predictions: int) -> DataError:
    return DataError(
        f"There are {labels} labels but {predictions} predictions.",
        remedy="Give the label and the prediction of the same images, in the same order.",
    )


def _nothing() -> DataError:
    return DataError("There is no image to measure on.", remedy="Give a part with images in it.")
