"""Sources: how good the images of each web domain, camera, slide or uploader are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.source_effect import with_effects
from affinage.auditing.source_features import compact
from affinage.auditing.source_findings import source_findings
from affinage.auditing.source_signs import (
    ALIEN,
    FAR,
    Sourced,
    doubted,
    penalty_for,
    strangeness,
    without_own_source,
)
from affinage.auditing.source_tests import Counts, comparable, count_fault, p_values
from affinage.metrics.intervals import wilson
from affinage.metrics.multiple_tests import benjamini_hochberg
from affinage.records.finding import Finding
from affinage.records.source import SourceJudgement, SourceReport, SourceTest

LEAST = 5
"""Images below which a source is not judged: even if all were bad, chance could have done it."""

BOUND = 0.05
"""Share of false alarms among the reported sources that is accepted."""

DISTRUST = 0.2
"""A source with a q-value below this no longer sets what is expected of the others."""

ROUNDS = 3
MATTERS = {"wrong-label": 0.1, "off-topic": 0.1, "copy": 0.2}
"""By how much a share must exceed the expected one to matter, whatever its p-value."""


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
class Tests:
    """What the tests say of every source, all of shape (sources,) or (faults, sources)."""

    faults: dict[str, Rows]
    counts: dict[str, Counts]
    p: dict[str, NDArray[np.float64]]
    combined: NDArray[np.float64]
    q: NDArray[np.float64]
    error: NDArray[np.bool_] | None


def sources(evidence: Evidence) -> Iterator[Finding]:
    """Yield each source whose images are worse than its labels and the other sources explain."""
    judgement = judge_sources(evidence)
    if judgement is not None:
        yield from source_findings(judgement, evidence)


def judge_sources(evidence: Evidence) -> SourceJudgement | None:
    """Return a report on each source of `evidence.group`, the worst first; None where none is named.

    Three faults are looked for where the evidence allows: labels that a head fitted on the other
    sources doubts, images unlike any class, and copies. Each is compared with what other sources
    show on images of the same labels, so that neither a hard class nor a source of one class makes
    a source look bad. A source's p-value is its least one times the number of faults tested
    (Bonferroni); q-values over all sources are Benjamini and Hochberg's. What stands out is then
    left out of the expectations and of the heads, and all is judged again, so that large bad
    sources do not hide others.
    """
    column, names = evidence.group, _names(evidence)
    if column is None or not names:
        return None
    images = _sourced(evidence, names)
    trusted = np.ones(len(names), dtype=bool)
    penalty = penalty_for(images) if images.rows.shape[1] else 1.0
    tests = _test_all(evidence, images, trusted, penalty)
    for _ in range(ROUNDS - 1):
        still = tests.q > DISTRUST
        if (still == trusted).all():
            break
        trusted = still
        tests = _test_all(evidence, images, trusted, penalty)
    reports = [_report(evidence, images, tests, index) for index in range(len(names))]
    reports.sort(key=lambda r: (1 if r.q is None else r.q, -r.images, r.value))
    judgement = SourceJudgement(column=column, reports=tuple(reports))
    return with_effects(judgement, images, penalty) if images.rows.shape[1] else judgement


def source_reports(evidence: Evidence) -> tuple[SourceReport, ...]:
    """Return the reports of `judge_sources`; empty where no group is named."""
    judgement = judge_sources(evidence)
    return () if judgement is None else judgement.reports


def _names(evidence: Evidence) -> list[str]:
    """Return the sources that are large enough to be judged, in order of their names."""
    column = evidence.group
    if column is None or column not in evidence.images.columns:
        return []
    sizes = evidence.images.drop_nulls(column).group_by(column).agg(pl.len().alias("n"))
    return [str(name) for name in sizes.filter(pl.col("n") >= LEAST)[column].sort().to_list()]


def _sourced(evidence: Evidence, names: list[str]) -> Sourced:
    values = evidence.images[evidence.group or ""].to_list()
    features = evidence.features
    return Sourced(
        rows=np.zeros((len(values), 0), np.float32) if features is None else compact(features),
        labels=evidence.labels,
        classes=len(evidence.classes),
        ids=evidence.ids,
        source=_index(values, names),
        names=names,
        groups=[
            f"image {image}" if value is None else f"source {value}"
            for value, image in zip(values, evidence.ids, strict=True)
        ],
    )


def _index(values: list[object], names: list[str]) -> NDArray[np.int64]:
    number = {name: index for index, name in enumerate(names)}
    return np.array([number.get(str(value), -1) for value in values], dtype=np.int64)


def _test_all(
    evidence: Evidence, images: Sourced, trusted: NDArray[np.bool_], penalty: float
) -> Tests:
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
    least = np.min(list(p.values()), axis=0) if p else np.ones(len(trusted))
    combined = np.minimum(1.0, least * max(1, len(p)))
    return Tests(
        faults=faults,
        counts=counts,
        p=p,
        combined=combined,
        q=benjamini_hochberg(combined),
        error=error,
    )


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
        source=_index(kept[evidence.group or ""].to_list(), images.names),
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


def _report(evidence: Evidence, images: Sourced, tests: Tests, index: int) -> SourceReport:
    own = images.source == index
    sizes = np.bincount(images.labels[own], minlength=len(evidence.classes))
    order = sorted(np.flatnonzero(sizes).tolist(), key=lambda label: (-sizes[label], label))
    tested = bool(tests.p)
    error = None if tests.error is None else tests.error[own]
    return SourceReport(
        column=evidence.group or "",
        value=images.names[index],
        images=int(own.sum()),
        labels=tuple((evidence.classes[label], int(sizes[label])) for label in order),
        tests=tuple(_test(fault, tests, index) for fault in tests.faults),
        error=None if error is None else wilson(int(error.sum()), len(error)),
        p=float(tests.combined[index]) if tested else None,
        q=float(tests.q[index]) if tested else None,
        suspicious=tested and bool(tests.q[index] <= BOUND),
    )


def _test(fault: str, tests: Tests, index: int) -> SourceTest:
    rows, counts = tests.faults[fault], tests.counts[fault]
    shown = np.flatnonzero((rows.source == index) & rows.judged & rows.shows)
    return SourceTest(
        fault=fault,
        share=wilson(int(counts.shown[index]), int(counts.judged[index])),
        expected=float(counts.expected[index]),
        p=float(tests.p[fault][index]),
        ids=tuple(sorted({rows.ids[i] for i in shown.tolist()})),
    )
