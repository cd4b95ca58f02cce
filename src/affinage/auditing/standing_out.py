"""Images that stand out from their own data set, and the finding that tells of them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.metrics.intervals import wilson
from affinage.records.finding import Finding, Severity

FEWEST = 10
"""Images below which a data set has no distribution to stand out from."""

NATURE = 0.2
"""A larger share of a data set is how the set is, not what befell some of its images."""

_LEAST_SPREAD = 0.15  # Of logarithms: a set that is all alike must not make a trifle an outlier.
_NORMAL = 1.4826  # Median absolute deviation to standard deviation, for normal values.


def low_limit(values: NDArray[np.floating], *, at_most: float, deviations: float = 3.0) -> float:
    """Return the value below which an image is low by itself and among its own data set.

    Args:
        values: A measure of every image, at least 0, shape (n,).
        at_most: Above it no image is low, however it compares: what people would call low.
        deviations: How many robust standard deviations below the median of the logarithms.

    Source:
        Leys et al., Detecting Outliers: Use Absolute Deviation Around the Median, 2013.
    """
    logarithms = np.log(np.maximum(values.astype(np.float64), 1e-6))
    middle = float(np.median(logarithms))
    spread = max(_NORMAL * float(np.median(np.abs(logarithms - middle))), _LEAST_SPREAD)
    return min(at_most, float(np.exp(middle - deviations * spread)))


def column(evidence: Evidence, name: str) -> NDArray[np.float64]:
    """Return a measure of every image, shape (n,); there must be measures."""
    assert evidence.measures is not None
    return evidence.measures[name].to_numpy().astype(np.float64)


def stands_out(
    evidence: Evidence,
    places: NDArray[np.intp],
    *,
    code: str,
    severity: Severity,
    what: str,
    remedy: str,
    detail: Callable[[int], str],
    hits: tuple[int, int] | None = None,
    harm: float = 1.0,
) -> Finding:
    """Return a finding about some images.

    Args:
        evidence: Of the data set.
        places: Indices of the images, the gravest first.
        code: Of the finding.
        severity: Of the finding.
        what: What the images are, to follow "3 images of 1,200 ".
        remedy: One thing to do.
        detail: What to say of the image at a place.
        hits: Where it is a guess: of how many such guesses how many were right; None for a fact.
        harm: Share of such images that a model gets wrong because of it, 0 to 1.
    """
    paths, ids = evidence.paths, evidence.ids
    rate = wilson(*hits) if hits else None
    right = rate.value if rate is not None and rate.value is not None else 1.0
    return Finding(
        code=code,
        severity=severity,
        subject=f"{count(len(places), 'image')} of {len(ids):,} {what}.",
        evidence=lines(f"{paths[place]}: {detail(int(place))}" for place in places),
        remedy=remedy,
        images=tuple(paths[place] for place in places),
        ids=tuple(ids[place] for place in places),
        hit_rate=rate,
        cost=len(places) * right * harm / len(ids),
    )


def ordered(chosen: NDArray[np.bool_], gravity: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the indices of the chosen images, those of least `gravity` first, ties by index."""
    places = np.flatnonzero(chosen)
    return places[np.argsort(gravity[places], kind="stable")]
