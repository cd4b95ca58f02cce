"""A closer look at pairs: each image is laid over the other, and chance is measured on strangers."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from affinage.errors import AffinageError
from affinage.imaging.matching import SIDE, Match, Sketch, match, sketch

SURE = 0.8
"""Least score of a pair that is reported."""

_SHARED = 0.3  # Of the smaller frame; less is two views of a place.
_SKETCHES = 4_000  # Kept at once: 160 MB.
_STRANGERS = 200
_ALIKE = 0.005
_BEYOND_CHANCE = 60


def score_of(found: Match, *, least_inliers: int = 0) -> float:
    """Return how sure it is that two images are copies of one photograph, 0 to 1.

    An outline alone can be laid over another (round cells on black): where few blocks show
    anything, more local features must agree; where the pixels agree everywhere, fewer do. The
    weights are those of a logistic regression on 10,000 judged pairs (docs/log.md).

    Args:
        found: How well one can be laid over the other.
        least_inliers: What chance reaches in this data set; see `least_inliers_of`.
    """
    needed = 12 if found.blocks < 30 else 8 if found.lower < 0.9 else 5
    if found.overlap < _SHARED or found.inliers < max(needed, least_inliers):
        return 0.0
    odds = 13.4 * found.likeness + 3.9 * found.lower - 11.2
    return round(1 / (1 + math.exp(-odds)), 3)


@dataclass(slots=True)
class Album:
    """Sketches of the images that were looked at last, and the matches between them.

    Attributes:
        look: Returns the RGB pixels of an image by its id.
        ids: Image id of each row.
        pool: Threads that read and match.
    """

    look: Callable[[str, int], NDArray[np.uint8]]
    ids: Sequence[str]
    pool: Executor
    _kept: OrderedDict[int, Sketch | None] = field(default_factory=OrderedDict)

    def matches(self, pairs: Sequence[tuple[int, int]]) -> list[Match]:
        """Return how well the images of each pair of rows match; not at all where one is unreadable."""
        rows = [row for pair in pairs for row in pair]
        missing = sorted(set(rows) - self._kept.keys())
        self._kept.update(zip(missing, self.pool.map(self._draw, missing), strict=True))
        for row in rows:
            self._kept.move_to_end(row)
        firsts, seconds = ([self._kept[pair[side]] for pair in pairs] for side in (0, 1))
        found = list(self.pool.map(_match, firsts, seconds))
        while len(self._kept) > _SKETCHES:
            self._kept.popitem(last=False)
        return found

    def _draw(self, row: int) -> Sketch | None:
        try:
            return sketch(self.look(self.ids[row], SIDE))
        except (AffinageError, OSError):  # It was whole in the decode pass; it has gone since.
            return None


def _match(first: Sketch | None, second: Sketch | None) -> Match:
    return Match() if first is None or second is None else match(first, second)


def least_inliers_of(
    album: Album, labels: NDArray[np.int64], neighbours: set[tuple[int, int]]
) -> int:
    """Return how many local features must agree for it not to be chance in this data set.

    Strangers are pairs under one label that are not each other's neighbours. Where 1 in 200 of them
    would pass for copies, all images are alike (digits, icons, one long video), and a copy must
    agree in twice as many points as any strangers do, but never in more than 60 (of at most
    200 there are): no two photographs that were taken apart do.

    Args:
        album: To look at the strangers.
        labels: Of each row, shape (n,).
        neighbours: Pairs of rows, the smaller first, that are candidates and so no strangers.
    """
    pairs = _strangers(labels, neighbours)
    passed = [found.inliers for found in album.matches(pairs) if score_of(found) >= SURE]
    if len(passed) < max(2, _ALIKE * len(pairs)):
        return 0
    return min(_BEYOND_CHANCE, 2 * max(passed))


def _strangers(
    labels: NDArray[np.int64], neighbours: set[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return up to 200 different pairs of strangers, always the same ones."""
    random = np.random.default_rng(0)
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels)
    sizes = np.searchsorted(labels[order], labels, side="right") - starts
    found: dict[tuple[int, int], None] = {}
    for one, place in zip(
        random.integers(len(labels), size=10 * _STRANGERS).tolist(),
        random.random(10 * _STRANGERS).tolist(),
        strict=True,
    ):
        other = int(order[starts[one] + int(place * sizes[one])])
        pair = (min(one, other), max(one, other))
        if one != other and pair not in neighbours:
            found[pair] = None
        if len(found) == _STRANGERS:
            break
    return list(found)
