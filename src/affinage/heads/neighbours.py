"""Approximate nearest neighbours by inverted lists: never all pairs, the same answer every time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError

SMALL = 4096
"""Up to so many rows each is compared with every other: lists would cost more than they save."""

_ROUNDS = 4
_SAMPLED = 40  # Rows for each list from which the centres are learnt.
_CHUNK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The rows most similar to each query, the most similar first.

    Attributes:
        rows: Row numbers, shape (m, k); -1 where fewer were found.
        cosines: Their cosine to the query, shape (m, k); -inf where fewer were found.
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]


def unit_rows(rows: ArrayLike) -> NDArray[np.float32]:
    """Return rows of length one, float32, shape (n, d); rows of zeros stay so."""
    values = np.array(rows, dtype=np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
    values /= np.where(lengths > 0, lengths, 1)
    return values


def neighbours(
    known: NDArray[np.float32],
    queries: NDArray[np.float32] | None = None,
    *,
    count: int,
    probes: int = 16,
    seed: int = 0,
) -> Neighbours:
    """Return for each query the known rows with the largest cosine to it, nearly always all of them.

    Above `SMALL` rows, k-means on a sample makes about 2 √n lists; a query is compared only with the
    members of the `probes` lists whose centres are nearest to it: some n √n comparisons, not n².

    Args:
        known: Rows of length one (see `unit_rows`), shape (n, d).
        queries: Rows of length one, shape (m, d); None asks for the neighbours of `known` itself,
            where no row is its own neighbour.
        count: How many for each query, at least 1.
        probes: Lists looked at for each query; more finds more and costs in proportion.
        seed: Chooses the sample.

    Raises:
        DataError: If the shapes disagree.

    Source:
        Sivic & Zisserman, Video Google, 2003; Jégou et al., Product Quantization for Nearest
        Neighbor Search, 2011, section IV (the inverted file).
    """
    asked = known if queries is None else queries
    if known.ndim != 2 or asked.ndim != 2 or known.shape[1] != asked.shape[1]:
        raise DataError(
            f"Rows have shapes (n, d) and (m, d), not {known.shape} and {asked.shape}.",
            remedy="Compute both with the same backbone.",
        )
    found = _Best(len(asked), count)
    if len(known) <= SMALL:
        everyone = np.arange(len(known))
        for first in range(0, len(asked), _CHUNK):
            chosen = np.arange(first, min(first + _CHUNK, len(asked)))
            found.offer(chosen, everyone, asked[chosen] @ known.T, itself=queries is None)
        return found.sorted()
    centres = _centres(known, lists=round(2 * len(known) ** 0.5), seed=seed)
    members = _nearest_centres(known, centres, 1)[:, 0]
    wanted = _nearest_centres(asked, centres, min(probes, len(centres)))
    by_member, by_probe = (
        np.argsort(members, kind="stable"),
        np.argsort(wanted, axis=None, kind="stable"),
    )
    member_ends = np.searchsorted(members[by_member], np.arange(len(centres) + 1))
    probe_ends = np.searchsorted(wanted.ravel()[by_probe], np.arange(len(centres) + 1))
    for number in range(len(centres)):
        inside = by_member[member_ends[number] : member_ends[number + 1]]
        probing = by_probe[probe_ends[number] : probe_ends[number + 1]] // wanted.shape[1]
        for first in range(0, len(probing), _CHUNK):
            chosen = probing[first : first + _CHUNK]
            found.offer(chosen, inside, asked[chosen] @ known[inside].T, itself=queries is None)
    return found.sorted()


class _Best:
    """The best few rows of each query so far."""

    def __init__(self, queries: int, count: int) -> None:
        self.rows = np.full((queries, count), -1, dtype=np.int64)
        self.cosines = np.full((queries, count), -np.inf, dtype=np.float32)

    def offer(
        self,
        queries: NDArray[np.int64],
        rows: NDArray[np.int64],
        cosines: NDArray[np.float32],
        *,
        itself: bool,
    ) -> None:
        """Keep what is better than what there is; `rows` are sorted, `cosines` (queries, rows)."""
        if itself:
            at = np.searchsorted(rows, queries)
            own = (at < len(rows)) & (rows[np.minimum(at, len(rows) - 1)] == queries)
            cosines[np.flatnonzero(own), at[own]] = -np.inf
        count = self.rows.shape[1]
        if len(rows) > count:
            top = np.argpartition(cosines, len(rows) - count, axis=1)[:, -count:]
            cosines, names = np.take_along_axis(cosines, top, axis=1), rows[top]
        else:
            names = np.broadcast_to(rows, cosines.shape)
        both = np.concatenate([self.cosines[queries], cosines], axis=1)
        named = np.concatenate([self.rows[queries], names], axis=1)
        best = np.argpartition(both, both.shape[1] - count, axis=1)[:, -count:]
        self.cosines[queries] = np.take_along_axis(both, best, axis=1)
        self.rows[queries] = np.take_along_axis(named, best, axis=1)

    def sorted(self) -> Neighbours:
        """Return the best, the most similar first, equal ones by their row."""
        self.rows[np.isneginf(self.cosines)] = -1
        order = np.lexsort((self.rows, -self.cosines), axis=1)
        return Neighbours(
            rows=np.take_along_axis(self.rows, order, axis=1),
            cosines=np.take_along_axis(self.cosines, order, axis=1),
        )


def _centres(rows: NDArray[np.float32], *, lists: int, seed: int) -> NDArray[np.float32]:
    """Return centres of length one by spherical k-means on a sample, shape (lists, d)."""
    random = np.random.default_rng(seed)
    sample = rows[np.sort(random.permutation(len(rows))[: lists * _SAMPLED])]
    centres = sample[np.sort(random.permutation(len(sample))[:lists])]
    for _ in range(_ROUNDS):
        nearest = _nearest_centres(sample, centres, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        present, starts = np.unique(nearest[order], return_index=True)
        centres = centres.copy()
        centres[present] = np.add.reduceat(sample[order], starts, axis=0)
        centres = unit_rows(centres)
    return centres


def _nearest_centres(
    rows: NDArray[np.float32], centres: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Return the numbers of the nearest centres, shape (n, count), in no order."""
    found = []
    for first in range(0, len(rows), _CHUNK):
        cosines = rows[first : first + _CHUNK] @ centres.T
        if count == 1:
            found.append(cosines.argmax(axis=1)[:, None])
        else:
            cut = len(centres) - count
            found.append(np.argpartition(cosines, cut, axis=1)[:, cut:])
    return np.concatenate(found) if found else np.zeros((0, count), dtype=np.int64)
