"""Signs of a bad image that are fair to its source: judged by what other sources show."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from affinage.auditing.source_tests import LEAST_EXPECTED
from affinage.heads.folds import assign_folds
from affinage.heads.linear import choose_penalty, fit_linear

PENALTIES = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
FOLDS = 5
FITTED = 20_000
"""Images that a head is fitted on at most, a fair sample: ids are hashes, taken at equal steps."""

DOUBTS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
PLANTED = 0.4
"""Share of random labels that a source should be caught with."""

NEAR_SHARE = 0.3
"""An image is as far from a class as from the image at this quantile of the class. The nearest few
would not do: foreign images come in flocks (cells, envelopes) and are near each other; at 0.1 a
third of the planted ones were missed, at 0.3 to 0.5 nearly none (docs/log.md)."""

REFERENCES, LEAST_REFERENCES = 4_000, 20
FAR, ALIEN = 1.75, 3.0
"""Strangeness from which an image counts as off topic, and from which it is so whatever a head says.
The first looks low, but distances of unit vectors have a ceiling: 1 to 2 % of honest images pass it,
and most foreign ones; at most 0.5 % of honest ones pass the second."""

BLOCK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sourced:
    """Images with their sources.

    Attributes:
        rows: Short features (`compact`), shape (n, d).
        labels: Class indices, shape (n,).
        classes: How many classes there are.
        ids: Image ids, n of them, sorted.
        names: Of the sources that are judged, sorted.
        source: Index of each image's source in `names`, shape (n,); -1 where it is not judged.
        groups: Who is held out together: a name of each image's source; an image without one stands
            alone.
    """

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    ids: list[str]
    names: list[str]
    source: NDArray[np.int64]
    groups: list[str]


def penalty_for(images: Sourced) -> float:
    """Return the penalty that does best on sources that a head has not learnt from."""
    few = spread(np.ones(len(images.labels), dtype=bool), FITTED // 4)
    return choose_penalty(
        images.rows[few],
        images.labels[few],
        images.classes,
        penalties=PENALTIES,
        folds=3,
        seed=0,
        ids=[images.ids[i] for i in few],
        groups=[images.groups[i] for i in few],
    ).penalty


def spread(chosen: NDArray[np.bool_], most: int) -> NDArray[np.intp]:
    """Return the positions of the chosen images, every k-th of them where they are too many."""
    positions = np.flatnonzero(chosen)
    return positions[:: max(1, -(-len(positions) // most))]


def without_own_source(
    images: Sourced, trusted: NDArray[np.bool_], *, penalty: float
) -> NDArray[np.float64]:
    """Return each image's probabilities by a head fitted without its source, shape (n, classes).

    Args:
        images: All of them.
        trusted: Which images a head may learn from, shape (n,).
        penalty: Of every fit.

    Returns:
        Rows sum to 1; NaN where no image is left to learn from.
    """
    part = assign_folds(images.labels, images.ids, folds=FOLDS, seed=0, groups=images.groups)
    probabilities = np.full((len(images.labels), images.classes), np.nan)
    start = None
    for number in range(int(part.max(initial=-1)) + 1):
        learnt = spread((part != number) & trusted, FITTED)
        if not len(learnt):
            continue
        start = fit_linear(
            images.rows[learnt], images.labels[learnt], images.classes, penalty=penalty, start=start
        )
        probabilities[part == number] = softmax(start.logits(images.rows[part == number]), axis=1)
    return probabilities


def doubted(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], trusted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return where a head gives the label less than a certain share of its favourite's probability.

    Of `DOUBTS` that share is taken at which a source with `PLANTED` random labels would stand out
    best from an honest one: the difference of their shares of doubted labels over the sum of their
    standard deviations. What a random label looks like is known: every other label of every image.
    An unsure head must be sterner than a sure one.

    Args:
        probabilities: Of each image by a head that has not learnt from its source, shape (n, classes).
        labels: As given, shape (n,).
        trusted: The images from which the share is chosen, shape (n,).
    """
    ratio = probabilities / probabilities.max(axis=1, keepdims=True)
    given = ratio[np.arange(len(labels)), labels]
    best = max(DOUBTS, key=lambda doubt: _apart(given[trusted] < doubt, ratio[trusted] < doubt))
    doubtful: NDArray[np.bool_] = given < best
    return doubtful


def _apart(given: NDArray[np.bool_], every: NDArray[np.bool_]) -> float:
    """Return how well doubt tells a source with random labels from an honest one, in deviations."""
    classes = every.shape[1]
    honest = max(float(given.mean()), LEAST_EXPECTED) if len(given) else 1.0
    wrong = float((every.sum(axis=1) - given).mean()) / max(1, classes - 1) if len(given) else 1.0
    planted = honest + PLANTED * max(0.0, wrong - honest)
    deviations = np.sqrt(honest * (1 - honest)) + np.sqrt(planted * (1 - planted))
    return float((planted - honest) / max(float(deviations), 1e-12))


def strangeness(images: Sourced, trusted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how unlike every class an image is, as the other sources show the classes, shape (n,).

    Its distance to a class is that to the image at the `NEAR_SHARE` quantile of the class's trusted
    images from other sources; its own is the distance to the nearest class.

    Returns:
        The distance above the median of all images, in robust standard deviations (1.4826 × the
        median absolute one); minus infinity where too few images can be compared.
    """
    each = max(LEAST_REFERENCES, REFERENCES // max(1, images.classes))
    nearest = np.full(len(images.labels), np.inf)
    with threadpool_limits(limits=1, user_api="blas"):
        for label in range(images.classes):
            known = spread((images.labels == label) & trusted, each)
            for first in range(0, len(images.labels), BLOCK):
                asked = np.arange(first, min(first + BLOCK, len(images.labels)))
                distances = _quantile_distances(images, asked, known)
                nearest[asked] = np.minimum(nearest[asked], distances)
    return _standardised(nearest)


def _quantile_distances(
    images: Sourced, asked: NDArray[np.intp], known: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the distance of each asked image to a class; infinite where it has too few others."""
    if len(known) < LEAST_REFERENCES:
        return np.full(len(asked), np.inf)
    a, b = images.rows[asked], images.rows[known]
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    own = images.source[asked][:, None] == images.source[known]
    own &= images.source[asked][:, None] >= 0
    own |= asked[:, None] == known
    squares[own] = np.inf
    others = (~own).sum(axis=1)
    squares.sort(axis=1)
    rank = np.minimum((NEAR_SHARE * others).astype(np.intp), len(known) - 1)
    found = np.sqrt(np.maximum(squares[np.arange(len(asked)), rank], 0)).astype(np.float64)
    return np.where(others >= LEAST_REFERENCES // 2, found, np.inf)


def _standardised(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.isfinite(distances)
    strange = np.full(len(distances), -np.inf)
    if finite.sum() >= LEAST_REFERENCES:
        middle = np.median(distances[finite])
        deviation = 1.4826 * np.median(np.abs(distances[finite] - middle))
        strange[finite] = (distances[finite] - middle) / max(float(deviation), 1e-9)
    return strange
