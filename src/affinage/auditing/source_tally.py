"""Faults of images counted for every source, and how unlikely the counts are."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.source_signs import (
    ALIEN,
    FAR,
    Sourced,
    doubted,
    strangeness,
    without_own_source,
)
from affinage.auditing.source_tests import Counts, comparable, count_fault, p_values
from affinage.metrics.multiple_tests import benjamini_hochberg

MATTERS = {"wrong-label": 0.1, "off-topic": 0.1, "copy": 0.2}
"""By how much a share must exceed the expected one to matter, whatever its p-value."""

SHARES = {"wrong-label": 0.7, "off-topic": 0.15, "copy": 0.15}
"""Of the chance of a false alarm that a source may cause, what each fault's test is given. Foreign
images and copies are rare in honest sources, so that bad ones stand out by far; wrong labels hide
among those that a head doubts by itself, and need more of it (docs/log.md)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows in which a fault is counted: images, or files where copies are counted.

    Attributes:
        ids: Image id of each row.
        labels: Class indices.
        source: Index of each row's source, -1 for none.
        shows: Which rows show the fault.
        judged: Which rows can be judged.
    """

    ids: list[str]
    labels: NDArray[np.int64]
    source: NDArray[np.int64]
    shows: NDArray[np.bool_]
    judged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """What the tests say of every source.

    Attributes:
        faults: The rows in which each fault was counted.
        counts: Of each fault.
        p: Of each fault, shape (sources,).
        combined: The least p over its fault's share of all (`SHARES`), at most 1, shape (sources,).
        q: False-discovery rates, shape (sources,).
        error: Which images a head fitted without their source gets wrong; None without features.
    """

    faults: dict[str, Rows]
    counts: dict[str, Counts]
    p: dict[str, NDArray[np.float64]]
    combined: NDArray[np.float64]
    q: NDArray[np.float64]
    error: NDArray[np.bool_] | None


def tally_of(
    evidence: Evidence, images: Sourced, trusted: NDArray[np.bool_], penalty: float
) -> Tally:
    """Return all tests of all sources, expectations resting on the trusted ones."""
    faults = {}
    error, strange = None, np.zeros(0)
    if images.rows.shape[1]:
        believed = _of_trusted(images.source, trusted)
        judged = comparable(images.labels, images.source, believed, sources=len(trusted))
        answers = without_own_source(images, believed, penalty=penalty)
        error = answers.argmax(axis=1) != images.labels
        faults["wrong-label"] = _rows(images, doubted(answers, images.labels, believed), judged)
        strange = strangeness(images, believed)
        faults["off-topic"] = _rows(images, strange > FAR, judged)
    if evidence.near is not None:
        faults["copy"] = _copies(evidence, images)
    counts = {fault: _count(rows, trusted) for fault, rows in faults.items()}
    p = {fault: _p_that_matters(fault, counted) for fault, counted in counts.items()}
    if error is not None:
        far = faults["off-topic"].shows & faults["off-topic"].judged
        p["off-topic"][_known_after_all(images, far, strange, error)] = 1.0
    combined = _combined(p, sources=len(trusted))
    return Tally(
        faults=faults,
        counts=counts,
        p=p,
        combined=combined,
        q=benjamini_hochberg(combined),
        error=error,
    )


def _combined(p: dict[str, NDArray[np.float64]], *, sources: int) -> NDArray[np.float64]:
    """Return one p-value for each source from those of its faults.

    Source:
        Genovese, Roeder & Wasserman, False Discovery Control with p-Value Weighting, 2006 (weights
        that are set before the data are seen keep the bound).
    """
    whole = sum(SHARES[fault] for fault in p)
    weighted = [found * whole / SHARES[fault] for fault, found in p.items()]
    least: NDArray[np.float64] = np.min([np.ones(sources), *weighted], axis=0)
    return least  # At most 1: the row of ones is among them.


def _of_trusted(source: NDArray[np.int64], trusted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return (source < 0) | trusted[np.maximum(source, 0)]


def _rows(images: Sourced, shows: NDArray[np.bool_], judged: NDArray[np.bool_]) -> Rows:
    return Rows(
        ids=images.ids, labels=images.labels, source=images.source, shows=shows, judged=judged
    )


def _copies(evidence: Evidence, images: Sourced) -> Rows:
    """Return every kept file, and whether another one is the same picture."""
    kept = evidence.manifest.kept.filter(pl.col("label").is_not_null()).sort("key")
    number = {label: index for index, label in enumerate(evidence.classes)}
    twins = {image for pair in evidence.near or () for image in (pair.first_id, pair.second_id)}
    again = (kept["image"].is_duplicated() | kept["image"].is_in(sorted(twins))).to_numpy()
    return Rows(
        ids=kept["image"].to_list(),
        labels=np.array([number[label] for label in kept["label"].to_list()], dtype=np.int64),
        source=index_of(kept[evidence.group or ""].to_list(), images.names),
        shows=again,
        judged=np.ones(kept.height, dtype=bool),
    )


def _count(rows: Rows, trusted: NDArray[np.bool_]) -> Counts:
    return count_fault(
        rows.shows,
        rows.labels,
        rows.source,
        judged=rows.judged,
        trusted=_of_trusted(rows.source, trusted),
        sources=len(trusted),
    )


def _p_that_matters(fault: str, counts: Counts) -> NDArray[np.float64]:
    """Return p-values, 1 where the excess is too small to matter."""
    excess = counts.shown / np.maximum(counts.judged, 1) - counts.expected
    return np.where(excess >= MATTERS[fault], p_values(counts), 1.0)


def _known_after_all(
    images: Sourced,
    far: NDArray[np.bool_],
    strange: NDArray[np.float64],
    error: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return the sources whose far images a head that never saw the source labels right all the same.

    Another style, such as drawings among photographs, is not another topic. A head guesses what it
    does not know: right are 1 in `classes` of the images off topic, so half-way to all is the limit.
    Two classes are easily guessed: what is stranger than any honest image stays off topic.
    """

    def counted(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        own = images.source[chosen & far & (images.source >= 0)]
        return np.bincount(own, minlength=len(images.names))

    all_far = counted(np.ones(len(far), dtype=bool))
    guessed = counted(~error) <= all_far * (1 + 1 / images.classes) / 2
    alien = counted(strange > ALIEN) > all_far / 2
    return ~(guessed | alien)


def index_of(values: list[object], names: list[str]) -> NDArray[np.int64]:
    """Return the position of each value among the names, -1 where it is not there, shape (n,)."""
    number = {name: index for index, name in enumerate(names)}
    return np.array([number.get(str(value), -1) for value in values], dtype=np.int64)
