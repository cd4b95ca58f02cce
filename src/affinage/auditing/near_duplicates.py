"""Near-duplicates: copies of one photograph after a crop, a resize, another compression, a caption..."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

from affinage.auditing.evidence import Evidence
from affinage.auditing.near_candidates import Candidates, candidates
from affinage.auditing.near_verifying import SURE, Album, least_inliers_of, score_of
from affinage.records.finding import Pair

_BATCH = 500
_ANYWAY = 4_000  # Pairs that are looked at however few prove true: about 10 s on one core.
_WORTHWHILE = 0.02


def find_near_duplicates(evidence: Evidence) -> tuple[Pair, ...]:
    """Return the pairs of images that show the same photograph, the surest first.

    Candidates are the nearest neighbours by features and by thumbnail; the most promising are
    looked at first, and each is laid over the other, point by point and pixel by pixel. After
    max(4,000, half as many as there are images) looks, it goes on only while 2 in 100 prove true:
    its cost grows with the number of images and of near-duplicates, never with that of all pairs.

    Args:
        evidence: With features, thumbs and `look`; without one of them the answer is empty.

    Returns:
        Pairs with a score of at least `SURE`: how sure it is that they are copies, 0 to 1.
    """
    if evidence.features is None or evidence.thumbs is None or evidence.look is None:
        return ()
    if len(evidence.ids) < 2:
        return ()
    found = candidates(evidence.features, evidence.thumbs)
    threads = min(8, os.cpu_count() or 1)
    # One thread of linear algebra for each of ours: more fight over the cores (measured 5 times slower).
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(threads, thread_name_prefix="affinage-near") as pool,
    ):
        album = Album(look=evidence.look, ids=evidence.ids, pool=pool)
        true = list(_verified(evidence, found, album))
    names = list(zip(evidence.paths, evidence.ids, strict=True))
    pairs = [_pair(names[one], names[other], score) for one, other, score in true]
    return tuple(sorted(pairs, key=lambda pair: (-(pair.score or 0), pair.first, pair.second)))


def _pair(one: tuple[str, str], other: tuple[str, str], score: float) -> Pair:
    (first, first_id), (second, second_id) = sorted((one, other))
    return Pair(first=first, second=second, first_id=first_id, second_id=second_id, score=score)


def _verified(
    evidence: Evidence, found: Candidates, album: Album
) -> Iterator[tuple[int, int, float]]:
    """Yield (row, row, score) of the candidates that prove true."""
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    least = least_inliers_of(album, evidence.labels, set(pairs))
    enough = max(_ANYWAY, len(evidence.ids) // 2)
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        scores = [score_of(match, least_inliers=least) for match in album.matches(batch)]
        true = [(*pair, score) for pair, score in zip(batch, scores, strict=True) if score >= SURE]
        yield from true
        done = start + len(batch)
        evidence.progress("near-duplicates", done, min(len(pairs), max(done, enough)))
        if done >= enough and len(true) < _WORTHWHILE * len(batch):
            return
