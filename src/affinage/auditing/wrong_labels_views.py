"""Two views of what an image's label should be, neither of which has seen its own label."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.heads.rotation import rotate

NEIGHBOURS = 60
"""Neighbours that vote; 60 found more wrong labels than 20 on three of four image sets."""

VOTE_SCALE = 0.15
"""Cosine by which a neighbour must be farther than the nearest to count 1/e as much."""

NEIGHBOUR_AXES = 256
"""Principal axes in which neighbours are sought; further ones changed no ranking."""

CHUNK = 2**24
"""Similarities held at once: 64 MB of float32."""

LARGEST_BLOCK = 500
"""Images held out together at most; holding out more costs the cube of their number."""

Block = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """Images as the two views see them; it knows no labels, so one serves many labellings.

    Attributes:
        rows: Principal coordinates, the weakest first, of mean variance 1, shape (n, rank).
        variance: Mean square of each coordinate, shape (rank,).
        neighbours: Indices of the nearest images, none of the same block, shape (n, k).
        closeness: Weights of their votes, rows summing to 1, shape (n, k).
        blocks: Images held out together, each with at least two.
    """

    rows: NDArray[np.float64]
    variance: NDArray[np.float64]
    neighbours: NDArray[np.intp]
    closeness: NDArray[np.float64]
    blocks: tuple[Block, ...]


def geometry(features: NDArray[np.floating], blocks: Sequence[Block] = ()) -> Geometry:
    """Return the label-free part of both views.

    Args:
        features: Finite, shape (n, d), n at least 3.
        blocks: Disjoint index sets of images that must not speak for one another.
    """
    shares = np.full(len(features), 1 / len(features))
    rotated = rotate(unit_roots(features), shares)
    neighbours, cosines = nearest(rotated.rows[:, -NEIGHBOUR_AXES:], blocks, k=NEIGHBOURS)
    closeness = np.exp((cosines - cosines[:, :1]) / VOTE_SCALE)
    return Geometry(
        rows=rotated.rows,
        variance=rotated.variance,
        neighbours=neighbours,
        closeness=closeness / closeness.sum(axis=1, keepdims=True),
        blocks=tuple(blocks),
    )


def unit_roots(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the signed roots of the features, each image scaled to length 1, shape (n, d).

    A few strong features would otherwise decide alone: with 20 % wrong labels the roots found 1 to
    3 points more of them. Distances between such rows are Hellinger's.
    """
    roots: NDArray[np.float64] = np.sign(features) * np.sqrt(np.abs(features, dtype=np.float64))
    lengths = np.linalg.norm(roots, axis=1, keepdims=True)
    roots /= np.where(lengths > 0, lengths, 1)
    return roots


def near_rows(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """Yield the near-duplicates among the evidence's images as pairs of rows."""
    row = {image: index for index, image in enumerate(evidence.ids)}
    for pair in evidence.near or ():
        if pair.first_id in row and pair.second_id in row:
            yield row[pair.first_id], row[pair.second_id]


def left_out_scores(
    where: Geometry, targets: NDArray[np.float64], *, penalty: float
) -> NDArray[np.float64]:
    """Return ridge regression's prediction of each image's target, fitted without its block.

    No fit is repeated: with H the matrix that maps targets to fitted values and e the residuals,
    leaving out block b changes its residuals to (I - H_bb)⁻¹ e_b.

    Args:
        where: The images.
        targets: One column for each class, shape (n, classes); shares of a label are allowed.
        penalty: On coordinates of mean variance 1, relative to the mean squared error.

    Source:
        Allen, The Relationship Between Variable Selection and Data Augmentation, 1974 (PRESS),
        with blocks instead of single rows.
    """
    n = len(where.rows)
    shrink = 1 / (n * (where.variance + penalty))
    mean = targets.mean(axis=0)
    fitted = where.rows @ (shrink[:, None] * (where.rows.T @ (targets - mean))) + mean
    leverage = np.einsum("nd,nd,d->n", where.rows, where.rows, shrink) + 1 / n
    left_out: NDArray[np.float64] = targets - (targets - fitted) / (1 - leverage)[:, None]
    for block in where.blocks:
        own = where.rows[block]
        hat = (own * shrink) @ own.T + 1 / n
        residual = np.linalg.solve(np.eye(len(block)) - hat, (targets - fitted)[block])
        left_out[block] = targets[block] - residual
    return left_out


def vote_logs(where: Geometry, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of each class's share among the neighbours, smoothed by one vote.

    Args:
        where: The images.
        targets: Shares of each class in each image's label, shape (n, classes).

    Source:
        Cover & Hart, Nearest Neighbor Pattern Classification, 1967.
    """
    k, classes = where.neighbours.shape[1], targets.shape[1]
    shares = np.zeros(targets.shape)
    for rank in range(k):
        shares += where.closeness[:, rank, None] * targets[where.neighbours[:, rank]]
    logs: NDArray[np.float64] = np.log((shares * k + 1 / classes) / (k + 1))
    return logs


def tie(n: int, pairs: Iterable[tuple[int, int]], groups: Sequence[object] = ()) -> list[Block]:
    """Return the blocks of images that pairs and shared groups tie together, directly or not.

    Args:
        n: How many images there are.
        pairs: Indices of two images each.
        groups: A value for each image, None where it has none; or nothing.

    Returns:
        Disjoint sets of 2 to `LARGEST_BLOCK` indices, in the order of their first one; larger ones
        are cut.
    """
    leader = list(range(n))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    first: dict[object, int] = {}
    shared = [(first.setdefault(g, i), i) for i, g in enumerate(groups) if g is not None]
    for one, other in (*pairs, *shared):
        low, high = sorted((find(one), find(other)))
        leader[high] = low
    members: dict[int, list[int]] = {}
    for index in range(n):
        members.setdefault(find(index), []).append(index)
    cut = [
        np.array(block[start : start + LARGEST_BLOCK], dtype=np.intp)
        for block in members.values()
        for start in range(0, len(block), LARGEST_BLOCK)
    ]
    return [block for block in cut if len(block) > 1]


def among(blocks: Sequence[Block], kept: NDArray[np.bool_]) -> list[Block]:
    """Return the blocks in a selection of the images, with indices into the selection."""
    place = np.cumsum(kept) - 1
    left = [place[block[kept[block]]] for block in blocks]
    return [block for block in left if len(block) > 1]


def nearest(
    rows: NDArray[np.floating],
    blocks: Sequence[Block],
    *,
    k: int,
    asked: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return indices and cosines of the nearest images outside each one's block, nearest first.

    Args:
        rows: Shape (n, d).
        blocks: Disjoint index sets of images that are no neighbours of one another.
        k: How many; fewer where a block leaves fewer outside.
        asked: Of which images, shape (m,); None for all.

    Returns:
        Two arrays of shape (m, k).
    """
    n = len(rows)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
    asked = np.arange(n) if asked is None else asked
    k = max(1, min(k, n - max([1, *map(len, blocks)])))
    together = {int(index): block for block in blocks for index in block}
    indices, cosines = np.empty((len(asked), k), dtype=np.intp), np.empty((len(asked), k))
    step = max(1, CHUNK // n)
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        near = unit[part] @ unit.T
        for row, index in enumerate(part.tolist()):
            near[row, together.get(index, index)] = -2
        best = np.argpartition(near, n - k, axis=1)[:, n - k :]
        values = np.take_along_axis(near, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices[start : start + step] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + step] = np.take_along_axis(values, order, axis=1)
    return indices, cosines
