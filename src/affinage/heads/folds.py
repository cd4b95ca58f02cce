"""Which images are held out together."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError, RecipeError


def assign_folds(
    labels: NDArray[np.int64],
    ids: Sequence[str],
    *,
    folds: int,
    seed: int,
    groups: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Return the fold of each image, shape (n,), in 0..folds-1.

    Images, or groups of them, are dealt out in the order of a hash of (seed, name), class by
    class, each to the fold that has the fewest of its class, then the fewest of all; so the
    fold of an image depends on the set of images, not on the order of the rows. There are no
    more folds than the largest class has images (or groups): none would be empty.

    Args:
        labels: Class indices, shape (n,).
        ids: A name of each image; equal names go together.
        folds: How many, at least 2.
        seed: Another seed deals otherwise.
        groups: A name of each image's group, shape (n,); None where each image stands alone.

    Raises:
        DataError: If the lengths differ.
        RecipeError: If folds is below 2.
    """
    names = [str(name) for name in (ids if groups is None else np.asarray(groups).tolist())]
    if len(names) != len(labels) or len(ids) != len(labels):
        raise DataError(
            f"There are {len(labels)} labels, {len(ids)} ids and {len(names)} groups.",
            remedy="Give one of each for every image.",
        )
    if folds < 2:
        raise RecipeError(
            f"Cross-validation needs at least 2 folds, not {folds}.",
            remedy="Set features.folds to 5.",
        )
    units, unit = np.unique(np.array(names, dtype=object), return_inverse=True)
    unit = unit.reshape(-1)
    if len(units) == len(labels):
        return _dealt_alone(names, labels, folds, seed)
    return _dealt_together(units.tolist(), unit, labels, folds, seed)[unit]


def _dealt_alone(
    names: list[str], labels: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each image where none is held out with another: a million take seconds."""
    folds = max(1, min(folds, int(np.bincount(labels, minlength=1).max())))
    own, hashes = labels.tolist(), _hashes(names, seed)
    held = [[0] * folds for _ in range(int(labels.max(initial=0)) + 1)]
    total = [0] * folds
    fold_of = np.zeros(len(labels), dtype=np.int64)
    for index in sorted(range(len(own)), key=lambda i: (own[i], hashes[i])):
        here = held[own[index]]
        _, _, chosen = min(zip(here, total, range(folds), strict=True))
        fold_of[index] = chosen
        here[chosen] += 1
        total[chosen] += 1
    return fold_of


def _dealt_together(
    units: list[str], unit: NDArray[np.intp], labels: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each unit, shape (units,); `unit` has the position of each image's."""
    counts = np.zeros((len(units), int(labels.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts, (unit, labels), 1)
    folds = max(1, min(folds, int((counts > 0).sum(axis=0).max(initial=0))))
    fold_of = np.zeros(len(units), dtype=np.int64)
    held = np.zeros((folds, counts.shape[1]), dtype=np.int64)
    for index in _dealing_order(units, counts, seed):
        own = counts[index] > 0
        chosen = min(
            range(folds), key=lambda fold: (int(held[fold, own].sum()), int(held[fold].sum()))
        )
        fold_of[index] = chosen
        held[chosen] += counts[index]
    return fold_of


def _dealing_order(units: list[str], counts: NDArray[np.int64], seed: int) -> list[int]:
    """Return unit indices: by their largest class, the big units first, then by hash."""
    major = counts.argmax(axis=1)
    size = counts.sum(axis=1)
    hashes = _hashes(units, seed)
    return sorted(range(len(units)), key=lambda i: (major[i], -size[i], hashes[i]))


def _hashes(names: list[str], seed: int) -> list[bytes]:
    return [hashlib.sha256(f"{seed}\0{name}".encode()).digest() for name in names]
