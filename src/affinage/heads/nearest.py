"""The baseline without training: what the most similar image shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.classification import check_labels

CHUNK = 2**24
"""Similarities held at once: 64 MB of float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestHead:
    """The most similar image that is known, of each class: what the baseline answers by.

    Attributes:
        known: Features of length 1, float32, shape (n, d).
        labels: Their class indices, shape (n,).
        classes: How many classes there are.
    """

    known: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int

    def logits(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return the largest cosine to a known image of each class, shape (m, classes).

        A class without a known image has -1, the least that a cosine can be.
        """
        asked = np.asarray(features)
        best = np.full((len(asked), self.classes), -1.0)
        step = max(1, CHUNK // max(1, len(self.known)))
        for first in range(0, len(asked), step):
            similar = _unit_rows(asked[first : first + step]) @ self.known.T
            for label in np.unique(self.labels):
                chosen = similar[:, self.labels == label]
                best[first : first + step, label] = chosen.max(axis=1)
        return best


def fit_nearest(features: ArrayLike, labels: ArrayLike, classes: int) -> NearestHead:
    """Return the head that knows these images.

    Args:
        features: Shape (n, d), n at least 1.
        labels: Class indices, shape (n,).
        classes: How many classes there are.

    Raises:
        DataError: If the shapes disagree or there is no image.

    Source:
        Cover & Hart, Nearest Neighbor Pattern Classification, 1967.
    """
    rows, truth = np.asarray(features), check_labels(labels, classes)
    if rows.ndim != 2 or len(rows) != len(truth) or not len(rows):
        raise DataError(
            f"Features of shape {rows.shape} and {len(truth)} labels do not belong together.",
            remedy="Give one row of features for each label, and at least one.",
        )
    return NearestHead(known=_unit_rows(rows), labels=truth, classes=classes)


def nearest_neighbour(
    train_features: ArrayLike, train_targets: ArrayLike, features: ArrayLike
) -> NDArray[Any]:
    """Return for each image the target of the training image with the largest cosine to it.

    Among equally similar ones the first wins. A row of zeros has cosine 0 to everything.

    Args:
        train_features: Shape (n, d), n at least 1.
        train_targets: Class indices of shape (n,), or a row for each image, shape (n, classes).
        features: Shape (m, d).

    Returns:
        Targets of shape (m,) or (m, classes).

    Raises:
        DataError: If the shapes disagree or there is no training image.

    Source:
        Cover & Hart, Nearest Neighbor Pattern Classification, 1967.
    """
    known, asked = np.asarray(train_features), np.asarray(features)
    targets = np.asarray(train_targets)
    if known.ndim != 2 or asked.ndim != 2 or known.shape[1] != asked.shape[1]:
        raise DataError(
            f"Features have shapes (n, d) and (m, d), not {known.shape} and {asked.shape}.",
            remedy="Compute both with the same backbone.",
        )
    if targets.shape[:1] != (len(known),) or not len(known):
        raise DataError(
            f"There are {len(known)} training images and targets of shape {targets.shape}.",
            remedy="Give one target for each training image, and at least one image.",
        )
    known = _unit_rows(known)
    step = max(1, CHUNK // len(known))
    chosen = [
        targets[(_unit_rows(asked[first : first + step]) @ known.T).argmax(axis=1)]
        for first in range(0, len(asked), step)
    ]
    return np.concatenate(chosen) if chosen else targets[:0]


def _unit_rows(rows: NDArray[np.generic]) -> NDArray[np.float32]:
    # Scaled by the largest entry first: the square of a large float32 overflows.
    values = np.asarray(rows, dtype=np.float32)
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    largest[largest == 0] = 1
    values = values / largest
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
    lengths[lengths == 0] = 1
    unit: NDArray[np.float32] = values / lengths
    return unit
