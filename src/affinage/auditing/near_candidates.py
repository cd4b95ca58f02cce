"""Pairs of images worth a closer look: neighbours by features or by thumbnail, the likeliest first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import THUMB
from affinage.heads.neighbours import neighbours, unit_rows

BY_FEATURES = 8
"""Neighbours by features: they see through crops, mirrors and captions."""

BY_THUMBS = 3
"""Neighbours by thumbnail, straight and mirrored: they see through blur and loss of colour."""

_CELLS = 8
_SIDES = {32: (0,), 28: (0, 4), 24: (0, 4, 8), 20: (0, 4, 8, 12)}
_CHUNK = 8192
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# Logistic regression on 310,000 candidate pairs, with injected copies (docs/log.md): cosine of the
# features, how far that is above the eighth neighbour's, and Fisher's z of how alike the thumbnails are,
# whole and in part.
_WEIGHTS = np.array([9.0, 23.1, -3.7, 6.9])
_BIAS = -17.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Pairs to be verified, the most promising first.

    Attributes:
        first: Row of one image, shape (n,), always below `second`.
        second: Row of the other, shape (n,).
        promise: Log odds that they show the same photograph, shape (n,), falling.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    promise: NDArray[np.float64]


def candidates(features: NDArray[np.float32], thumbs: NDArray[np.uint8]) -> Candidates:
    """Return the pairs that could be near-duplicates, at most 14 for each image.

    Args:
        features: Of a frozen backbone, shape (n, d).
        thumbs: RGB of the whole frames, shape (n, 32, 32, 3).
    """
    unit = unit_rows(features)
    by_features = neighbours(unit, count=BY_FEATURES)
    luma = thumbs.astype(np.float32) @ _LUMA
    whole = _centred(luma.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)))
    straight = neighbours(whole, count=BY_THUMBS)
    mirror = neighbours(
        whole, np.ascontiguousarray(whole.reshape(-1, 16, 16)[:, :, ::-1]).reshape(len(whole), -1),
        count=BY_THUMBS,
    )  # fmt: skip
    first, second = _pairs(by_features.rows, straight.rows, mirror.rows)
    measures = _measures(unit, luma, by_features.cosines[:, -1], first, second)
    promise = measures @ _WEIGHTS + _BIAS
    # Rounded: the last digits of a product may depend on the number of threads.
    order = np.lexsort((second, first, -promise.round(4)))
    return Candidates(first=first[order], second=second[order], promise=promise[order])


def _pairs(*tables: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each pair of different rows once, the smaller first, in order."""
    size = len(tables[0])
    codes = []
    for table in tables:
        own = np.repeat(np.arange(size), table.shape[1])
        other = table.ravel()
        real = (other >= 0) & (other != own)
        low, high = np.minimum(own, other)[real], np.maximum(own, other)[real]
        codes.append(low * size + high)
    unique = np.unique(np.concatenate(codes))
    return unique // max(size, 1), unique % max(size, 1)


def _measures(
    unit: NDArray[np.float32],
    luma: NDArray[np.float32],
    eighth: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what each pair is judged by before its pixels are read, shape (n, 4)."""
    views = _views()
    # Far images have few neighbours where there are few images; they stand out from nothing then.
    crowd = np.where(np.isfinite(eighth), eighth, 0)
    measures = np.zeros((len(first), 4))
    for start in range(0, len(first), _CHUNK):
        one, two = first[start : start + _CHUNK], second[start : start + _CHUNK]
        cosine = np.einsum("nd,nd->n", unit[one], unit[two])
        rows, place = np.unique(np.concatenate([one, two]), return_inverse=True)
        seen = _centred((luma[rows].reshape(len(rows), -1) @ views).reshape(-1, _CELLS**2))
        windows = seen.reshape(len(rows), -1, _CELLS**2)
        alike = _laid_over(windows[place[: len(one)]], windows[place[len(one) :]])
        margin = cosine - np.minimum(crowd[one], crowd[two])
        measures[start : start + _CHUNK] = np.stack([cosine, margin, *alike], axis=1)
    return measures


def _laid_over(
    one: NDArray[np.float32], two: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how alike one whole image, straight or mirrored, is to the other, and to its likest part.

    Correlations are given as Fisher's z, in which 0.99 is as far from 0.9 as 0.9 is from 0.
    """
    found = []
    for parts, other in ((one, two), (two, one)):
        whole = other[:, 0]
        mirror = whole.reshape(-1, _CELLS, _CELLS)[:, :, ::-1].reshape(len(whole), -1)
        found.append(np.matmul(parts, np.stack([whole, mirror], axis=2)).max(axis=2))
    best = np.arctanh(np.clip(np.maximum(*found), 0, 0.999).astype(np.float64))
    return best[:, 0], best.max(axis=1)


def _centred(images: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = images.reshape(len(images), -1)
    return unit_rows(flat - flat.mean(axis=1, keepdims=True))


def _views() -> NDArray[np.float32]:
    """Return the linear map from a thumbnail to 8 × 8 cells of each of its parts, shape (1024, 1920)."""
    made = []
    for side, starts in _SIDES.items():
        for down in starts:
            for across in starts:
                made.append(np.kron(_cells(down, side), _cells(across, side)))
    return np.concatenate(made).T.astype(np.float32)


def _cells(start: int, side: int) -> NDArray[np.float64]:
    """Return the means of 8 equal cells of `side` pixels as a map, shape (8, 32)."""
    edges = start + np.arange(_CELLS + 1) * side / _CELLS
    pixels = np.arange(THUMB)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    means: NDArray[np.float64] = np.maximum(high - low, 0) * _CELLS / side
    return means
