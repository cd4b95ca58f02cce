"""Whether two images show the same photograph: local features, one affine map, then the pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Longest side at which two images are compared, px; larger ones are shrunk to it, smaller enlarged."""

_POINTS = 200
_RATIO = 0.85
_LEAST_MATCHES = 5
_REACH = 1.5  # Of RANSAC, px at `SIDE`.
_BLOCKS = 6
_FLAT = 3.0  # Standard deviation in grey levels below which a block shows nothing.
_MIRROR_ANGLES = np.array([0, 7, 6, 5, 4, 3, 2, 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is kept of an image to compare it with others: about 40 KB.

    Attributes:
        grey: Luma, uint8, longest side `SIDE` px.
        points: (x, y) of each local feature in pixels of `grey`, float32, shape (n, 2).
        descriptors: SIFT descriptors, uint8, shape (n, 128).
    """

    grey: NDArray[np.uint8]
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well one image can be laid over another.

    Attributes:
        inliers: Local features that one affine map carries from one image to the other.
        likeness: Median correlation of the blocks where both show something, -1 to 1.
        lower: Lower quartile of these correlations.
        blocks: How many blocks were compared, 0 to 36.
        overlap: Shared area as a part of the smaller frame, about 0 to 1.
        mirrored: True where one is the mirror image of the other.
    """

    inliers: int = 0
    likeness: float = -1.0
    lower: float = -1.0
    blocks: int = 0
    overlap: float = 0.0
    mirrored: bool = False


def sketch(pixels: NDArray[np.uint8]) -> Sketch:
    """Return what is needed to compare an image with others.

    Args:
        pixels: RGB, shape (height, width, 3); a longest side of `SIDE` px is enough.

    Source:
        Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grey = _scaled(grey)
    points, descriptors = np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8)
    if min(grey.shape) >= 16:  # Nothing to find in a strip, and SIFT's pyramid needs some room.
        # Made anew each time: one detector must not serve two threads.
        detector = cv2.SIFT.create(nfeatures=_POINTS, contrastThreshold=0.02)
        found, described = detector.detectAndCompute(grey, None)
        if found:
            points = np.array([point.pt for point in found], dtype=np.float32)
            descriptors = described.astype(np.uint8)
    return Sketch(grey=grey, points=points, descriptors=descriptors)


def match(first: Sketch, second: Sketch) -> Match:
    """Return how well the second image can be laid over the first, straight or mirrored.

    Local features that are each other's nearest give an affine map by RANSAC; the map lays the
    second image over the first; blocks of 1/6 of the shared frame are correlated, which does not
    mind brightness and contrast. The median tells copies (a caption spoils few blocks) from two
    photographs of one thing (light and parallax spoil most).

    Source:
        Fischler & Bolles, Random Sample Consensus, 1981; the mirrored descriptor after Ma et al.,
        MIFT: A Mirror Reflection Invariant Feature Descriptor, 2009.
    """
    query, known = _unit(first.descriptors), _unit(second.descriptors)
    straight = _mutual(query, known)
    turned = _mutual(query, _unit(mirrored(second.descriptors)))
    mirror = len(turned) > len(straight)
    pairs = turned if mirror else straight
    if len(pairs) < _LEAST_MATCHES:
        return Match()
    to, start = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    affine, chosen = cv2.estimateAffine2D(
        start, to, method=cv2.RANSAC, ransacReprojThreshold=_REACH, maxIters=1000, confidence=0.99
    )
    if affine is None or not _plausible(affine):
        return Match(mirrored=mirror)
    correlations, overlap = _correlations(first.grey, second.grey, affine)
    return Match(
        inliers=int(chosen.sum()),
        likeness=float(np.median(correlations)) if len(correlations) else -1.0,
        lower=float(np.quantile(correlations, 0.25)) if len(correlations) else -1.0,
        blocks=len(correlations),
        overlap=overlap,
        mirrored=mirror,
    )


def mirrored(descriptors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the SIFT descriptors that the mirror image would have, shape (n, 128).

    In a mirror the rows of the 4 × 4 grid change places, and each angle its sign.
    """
    grid = descriptors.reshape(-1, 4, 4, 8)
    turned: NDArray[np.uint8] = grid[:, ::-1, :, _MIRROR_ANGLES].reshape(-1, 128)
    return turned


def _scaled(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey.shape
    scale = SIDE / max(height, width)
    if scale == 1:
        return grey
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    filtered = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, size, interpolation=filtered), dtype=np.uint8)


def _unit(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the roots of descriptors of sum one: their product is the Hellinger kernel.

    Source:
        Arandjelović & Zisserman, Three things everyone should know to improve object retrieval, 2012.
    """
    rows = descriptors.astype(np.float32)
    rows /= np.maximum(rows.sum(axis=1, keepdims=True), 1)
    return np.sqrt(rows)


def _mutual(query: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return (row of query, row of known) of those that are clearly each other's nearest."""
    if len(query) < 2 or len(known) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = query @ known.T
    rows = np.arange(len(query))
    nearest, back = likeness.argmax(axis=1), likeness.argmax(axis=0)
    best = likeness[rows, nearest]
    likeness[rows, nearest] = -1
    clear = (1 - best) < _RATIO**2 * (1 - likeness.max(axis=1))
    kept = (back[nearest] == rows) & clear & (best > 0.7)
    return np.stack([rows[kept], nearest[kept]], axis=1)


def _plausible(affine: NDArray[np.float64]) -> bool:
    large, small = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(small > 0.2 and large < 5 and large < 2.5 * small)


def _correlations(
    first: NDArray[np.uint8], second: NDArray[np.uint8], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the correlation of each block that shows something, and the overlap."""
    height, width = first.shape
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    source = second.astype(np.float32)
    if scale < 1:  # A warp alone would alias.
        source = cv2.GaussianBlur(source, (0, 0), 0.5 / scale)
    laid = cv2.warpAffine(
        source, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(
        np.ones_like(second), affine, (width, height), flags=cv2.INTER_NEAREST
    ).astype(bool)
    overlap = float(inside.sum()) / max(1.0, min(first.size, second.size * scale**2))
    under, over = (_smoothed(image, inside) for image in (first.astype(np.float32), laid))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if len(rows) < _BLOCKS or len(columns) < _BLOCKS:
        return np.zeros(0), overlap
    down = np.linspace(rows[0], rows[-1] + 1, _BLOCKS + 1).astype(int)
    across = np.linspace(columns[0], columns[-1] + 1, _BLOCKS + 1).astype(int)
    blocks = [
        _correlation(under[y, x], over[y, x], inside[y, x])
        for y in map(slice, down[:-1], down[1:])
        for x in map(slice, across[:-1], across[1:])
    ]
    return np.array([block for block in blocks if block is not None]), overlap


def _smoothed(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the image blurred by 1.2 px, its shared part untouched by what lies around it."""
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.2)
    blurred = cv2.GaussianBlur(np.where(inside, image, 0), (0, 0), 1.2)
    smoothed: NDArray[np.float32] = blurred / np.maximum(weight, 1e-3)
    return smoothed


def _correlation(
    under: NDArray[np.float32], over: NDArray[np.float32], inside: NDArray[np.bool_]
) -> float | None:
    if inside.mean() < 0.5:
        return None
    left, right = under[inside], over[inside]
    left, right = left - left.mean(), right - right.mean()
    one, two = float(np.sqrt((left**2).mean())), float(np.sqrt((right**2).mean()))
    # A block without any texture is a border that somebody added: it speaks neither for nor against.
    if max(one, two) < _FLAT or min(one, two) < 0.5:
        return None
    return float((left * right).mean()) / (one * two)
