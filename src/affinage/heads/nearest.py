"""The baseline without training: the label of the most similar image."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError

CHUNK = 2**24
"""Similarities held at once: 64 MB of float32."""


def nearest_neighbour(
    train_features: ArrayLike, train_labels: ArrayLike, features: ArrayLike
) -> NDArray[np.int64]:
    """Return for each image the label of the training image with the largest cosine to it.

    Among equally similar ones the first wins. A row of zeros has cosine 0 to everything.

    Args:
        train_features: Shape (n, d), n at least 1.
        train_labels: Class indices, shape (n,).
        features: Shape (m, d).

    Returns:
        Labels, shape (m,).

    Raises:
        DataError: If the shapes disagree or there is no training image.

    Source:
        Cover & Hart, Nearest Neighbor Pattern Classification, 1967.
    """
    known, asked = np.asarray(train_features), np.asarray(features)
    labels = np.asarray(train_labels, dtype=np.int64)
    if known.ndim != 2 or asked.ndim != 2 or known.shape[1] != asked.shape[1]:
        raise DataError(
            f"Features have shapes (n, d) and (m, d), not {known.shape} and {asked.shape}.",
            remedy="Compute both with the same backbone.",
        )
    if labels.shape != (len(known),) or not len(known):
        raise DataError(
            f"There are {len(known)} training images and labels of shape {labels.shape}.",
            remedy="Give one label for each training image, and at least one image.",
        )
    known = _unit_rows(known)
    step = max(1, CHUNK // len(known))
    chosen = [
        labels[(_unit_rows(asked[first : first + step]) @ known.T).argmax(axis=1)]
        for first in range(0, len(asked), step)
    ]
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


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
