"""Images that show something else than the rest: envelopes, slides, labels, placeholders."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from affinage.auditing.evidence import Evidence
from affinage.auditing.off_topic_tail import Cut, best_cut
from affinage.auditing.words import count, first, share_in_words
from affinage.auditing.wrong_labels_views import Block, near_rows, nearest, tie, unit_roots
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding

FEWEST_IMAGES = 150
"""Below these the crowd's edge cannot be made out."""

COMPANIONS, TRUST = 5, 1.5
"""An image lies at most so many times as far apart as its nearest images do: what is off topic
comes in kinds (twenty envelopes), what is merely unusual comes alone."""

CORE, CLASS_CORE, STEPS = 0.8, 0.7, 10
"""Share of the images that a middle is the mean of, of all and of a class; and steps to find it."""

MODEL_ERROR = 0.03
"""Standard deviation of (promised - true) hit rate over 97 injected cases (docs/log.md)."""

SHOWN = 10


def off_topic(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that lie apart from all the classes, if a gap sets them apart."""
    scores, cut = set_apart(evidence)
    if cut is None:
        return
    apart = np.flatnonzero(scores > cut.threshold)
    order = apart[np.argsort(-scores[apart], kind="stable")]
    hits = _hit_rate(cut)
    ids, paths = evidence.ids, evidence.paths
    yield Finding(
        code="off-topic",
        severity="warning",
        subject=f"{count(len(order), 'image')} of {len(scores):,} probably"
        f" {'shows' if len(order) == 1 else 'show'} something else than the rest:"
        f" about {share_in_words(hits)} of such guesses are right.",
        evidence=(
            *_whereabouts(evidence, order),
            f"the farthest: {first([paths[index] for index in order], SHOWN)}",
        ),
        remedy="Look at them, then: affinage exclude DATA --finding off-topic",
        images=tuple(paths[index] for index in order),
        ids=tuple(ids[index] for index in order),
        hit_rate=hits,
        cost=len(order) * (hits.value or 0) / len(scores),
    )


def set_apart(evidence: Evidence) -> tuple[NDArray[np.float64], Cut | None]:
    """Return how far apart each image lies, shape (n,), and from where on it is off topic, if any.

    All scores are 0 where features are missing or images too few.
    """
    if evidence.features is None or len(evidence.labels) < FEWEST_IMAGES:
        return np.zeros(len(evidence.labels)), None
    copies = tie(len(evidence.labels), near_rows(evidence))
    scores = apartness(evidence.features, evidence.labels, blocks=copies)
    return scores, best_cut(scores)


def apartness(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    blocks: list[Block] | None = None,
) -> NDArray[np.float64]:
    """Return how far each image lies from the middle of all and of the nearest class.

    The distance is Hellinger's, between images as distributions over features: the roots of the
    features, each image scaled to length 1. It was better than cosine, Mahalanobis and
    nearest-neighbour distances, all of which a tight cluster of 10 % deceives (docs/log.md).

    Args:
        features: Of a frozen backbone, shape (n, d).
        labels: Class indices, shape (n,).
        blocks: Near-duplicates, which are no company for one another; see `tie`.

    Returns:
        Robust standard scores, 0 in the middle, held down where the nearest images lie less far
        apart, shape (n,).
    """
    with threadpool_limits(limits=1, user_api="blas"):
        rows = unit_roots(features).astype(np.float32)
        middle = _middle(rows, CORE)
        to_class = np.full(len(rows), np.inf)
        for label in np.unique(labels):
            centre = _middle(rows[labels == label], CLASS_CORE)
            to_class = np.minimum(to_class, _squares(rows, centre))
        scores = _standard(_squares(rows, middle) + to_class)
        asked = np.flatnonzero(scores > 1)  # Company only matters to those who stand out.
        companions, _ = nearest(rows - middle, blocks or [], k=COMPANIONS, asked=asked)
    scores[asked] = np.minimum(scores[asked], TRUST * scores[companions].mean(axis=1))
    return scores


def _middle(rows: NDArray[np.float32], core: float) -> NDArray[np.float32]:
    """Return the mean of the share of the rows that lie nearest to it, found from the median.

    Source:
        Rousseeuw & Van Driessen, A Fast Algorithm for the Minimum Covariance Determinant
        Estimator, 1999 (its concentration steps, with the identity for covariance).
    """
    middle = np.median(rows, axis=0)
    for _ in range(STEPS):
        squares = _squares(rows, middle)
        middle = rows[squares <= np.quantile(squares, core)].mean(axis=0)
    return np.asarray(middle, dtype=np.float32)


def _squares(rows: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return squared distances of unit rows to a centre, without a copy of the rows."""
    own = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    squares: NDArray[np.float64] = own - 2 * (rows @ centre) + float(centre @ centre)
    return squares


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values less their median, in units of a normal variable's standard deviation."""
    off = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(off)))
    return off / spread if spread > 0 else np.zeros(len(values))


def _hit_rate(cut: Cut) -> Estimate:
    value = 1 - cut.expected / cut.above
    half = 1.96 * float(np.sqrt(value * (1 - value) / cut.above + MODEL_ERROR**2))
    return Estimate(
        value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=cut.above
    )


def _whereabouts(evidence: Evidence, rows: NDArray[np.intp]) -> Iterator[str]:
    """Yield the classes, and the sources if there are any, that hold most of these images."""
    classes = Counter(evidence.classes[label] for label in evidence.labels[rows])
    yield f"by class: {_commonest(classes)}"
    if evidence.group is not None and evidence.group in evidence.images.columns:
        groups = evidence.images[evidence.group].to_list()
        yield f"by {evidence.group}: {_commonest(Counter(str(groups[row]) for row in rows))}"


def _commonest(tally: Counter[str]) -> str:
    top = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    return first([f"'{name}' {n:,}" for name, n in top])
