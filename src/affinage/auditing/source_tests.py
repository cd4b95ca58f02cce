"""Whether a source shows a fault more often than the others do on images of the same labels."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

LEAST_ALIKE = 0.02
"""Least correlation within honest sources. Sources are never all alike: even where the data
show no difference, a share of 5 % is taken to vary by 3 points (one standard deviation) from one
source to the next."""

_CORRELATIONS = tuple(np.geomspace(LEAST_ALIKE, 0.5, 12).tolist())
_FACTORS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)
_BAD_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_COST = 20.0

LEAST_EXPECTED = 0.01
"""One odd image in a hundred is expected of any source, however clean the others are."""

COMPARED = 10
"""A label of a source is judged where other sources have so many images of it, and half as many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """A fault counted in every source.

    Attributes:
        shown: Images that show it, shape (sources,).
        judged: Images that could be judged, shape (sources,).
        expected: Share that images of these labels show elsewhere, in (0, 1), shape (sources,).
        compared: Images of these labels elsewhere, shape (sources,).
    """

    shown: NDArray[np.int64]
    judged: NDArray[np.int64]
    expected: NDArray[np.float64]
    compared: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Honest:
    """How honest sources vary.

    Attributes:
        correlation: Between two images of one source, in (0, 1).
        factor: What the expected share is multiplied with, in (0, 1]: below 1 where bad sources
            had their part in what was expected.
    """

    correlation: float
    factor: float


def comparable(
    labels: NDArray[np.int64],
    source: NDArray[np.int64],
    trusted: NDArray[np.bool_],
    *,
    sources: int,
) -> NDArray[np.bool_]:
    """Return which images are of a label that trusted images of other sources show often enough.

    The only source of a class cannot be judged by others: a head without it knows no such class.
    """
    own = _table(source, labels, np.ones(len(labels), dtype=bool), sources=sources)
    others = _others(source, labels, np.ones(len(labels), dtype=bool), trusted, sources=sources)
    enough = others >= np.maximum(COMPARED, own / 2)
    return (source >= 0) & enough[np.maximum(source, 0), labels]


def count_fault(
    shows: NDArray[np.bool_],
    labels: NDArray[np.int64],
    source: NDArray[np.int64],
    *,
    judged: NDArray[np.bool_],
    trusted: NDArray[np.bool_],
    sources: int,
) -> Counts:
    """Return how often each source shows a fault, and how often it should by its labels.

    A hard class is hard in every source: the expectation of an image is the share among trusted
    images of its label from the other sources.

    Args:
        shows: Which images show the fault, shape (n,).
        labels: Class indices, shape (n,).
        source: Index of each image's source, shape (n,), -1 for none.
        judged: Which images count for their source, shape (n,).
        trusted: Which images the expectation rests on, shape (n,).
        sources: How many there are.
    """
    counted = judged & (source >= 0)
    own = _table(source, labels, counted, sources=sources)
    ones = np.ones(len(labels), dtype=bool)
    seen = _others(source, labels, ones, trusted, sources=sources)
    shown = _others(source, labels, shows, trusted, sources=sources)
    overall = (float((shows & trusted).sum()) + 0.5) / (float(trusted.sum()) + 1)
    share = (shown + overall) / (seen + 1)  # One image's worth of the overall share.
    n = own.sum(axis=1)
    weights = own / np.maximum(n, 1)[:, None]
    return Counts(
        shown=_table(source, labels, counted & shows, sources=sources).sum(axis=1),
        judged=n,
        expected=np.clip((weights * share).sum(axis=1), LEAST_EXPECTED, 1 - LEAST_EXPECTED),
        compared=(weights * seen).sum(axis=1) + 1,
    )


def p_values(counts: Counts) -> NDArray[np.float64]:
    """Return the chance that an honest source shows the fault so often or more, shape (sources,).

    Images of one source resemble each other, so counts spread more than a binomial: an honest
    source's own share is taken to vary by a beta distribution about the expected one
    (`honest_sources`). That the expectation is itself counted on few images widens it further.
    1 where nothing is judged.

    Source:
        Williams, The Analysis of Binary Responses from Toxicological Experiments Involving
        Reproduction and Teratogenicity, 1975 (the beta-binomial within clusters).
    """
    a, b = _beta(counts, honest_sources(counts))
    p = betabinom.sf(counts.shown - 1, np.maximum(counts.judged, 1), a, b)
    return np.where(counts.judged > 0, np.clip(p, 0, 1), 1.0)


def honest_sources(counts: Counts) -> Honest:
    """Return how honest sources vary, by penalised maximum likelihood on a grid.

    A source is honest (beta-binomial about its expectation) or, by a share of 0 to 0.5 fitted as
    well, bad (any share of faults equally likely), so that bad sources pass neither for variation
    nor for what is to be expected. A correlation costs 20 nats for each unit: where all counts are
    0 the likelihood alone would not limit it.
    """
    some = counts.judged > 0
    anything = 1 / (counts.judged[some] + 1)
    best, found = -np.inf, Honest(correlation=LEAST_ALIKE, factor=1.0)
    for correlation, factor in product(_CORRELATIONS, _FACTORS):
        honest = Honest(correlation=correlation, factor=factor)
        a, b = (side[some] for side in _beta(counts, honest))
        likely = betabinom.pmf(counts.shown[some], counts.judged[some], a, b)
        for bad in _BAD_SHARES:
            mixed = np.maximum((1 - bad) * likely + bad * anything, 1e-300)
            fit = float(np.log(mixed).sum()) - _COST * correlation
            if fit > best + 1e-9:
                best, found = fit, honest
    return found


def _beta(counts: Counts, honest: Honest) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the beta distribution of an honest source's share of faults."""
    expected = counts.expected * honest.factor
    weight = 1 / (honest.correlation / (1 - honest.correlation) + 1 / counts.compared)
    return expected * weight, (1 - expected) * weight


def _table(
    source: NDArray[np.int64],
    labels: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    *,
    sources: int,
) -> NDArray[np.int64]:
    """Return how many chosen images there are by source and label."""
    some = chosen & (source >= 0)
    table = np.zeros((sources, int(labels.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(table, (source[some], labels[some]), 1)
    return table


def _others(
    source: NDArray[np.int64],
    labels: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    trusted: NDArray[np.bool_],
    *,
    sources: int,
) -> NDArray[np.int64]:
    """Return how many chosen, trusted images of each label stand outside each source."""
    total = np.bincount(labels[chosen & trusted], minlength=int(labels.max(initial=0)) + 1)
    others: NDArray[np.int64] = total - _table(source, labels, chosen & trusted, sources=sources)
    return others
