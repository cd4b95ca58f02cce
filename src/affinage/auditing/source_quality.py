"""Sources: how good the images of each web domain, camera, slide or uploader are."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.source_effect import with_effects
from affinage.auditing.source_features import compact
from affinage.auditing.source_findings import source_findings
from affinage.auditing.source_signs import Sourced, penalty_for
from affinage.auditing.source_tally import Tally, index_of, tally_of
from affinage.metrics.intervals import wilson
from affinage.records.finding import Finding
from affinage.records.source import SourceJudgement, SourceReport, SourceTest

LEAST = 5
"""Images below which a source is not judged: even if all were bad, chance could have done it."""

BOUND = 0.05
"""Share of false alarms among the reported sources that is accepted."""

DISTRUST = 0.2
"""A source with a q-value below this no longer sets what is expected of the others."""

ROUNDS = 3


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
    a source look bad. A source's p-value is its least one after a weighted Bonferroni correction
    (`source_tally.SHARES`); q-values over all sources are Benjamini and Hochberg's. What stands out is then
    left out of the expectations and of the heads, and all is judged again, so that large bad
    sources do not hide others.
    """
    column, names = evidence.group, _names(evidence)
    if column is None or not names:
        return None
    images = _sourced(evidence, names)
    trusted = np.ones(len(names), dtype=bool)
    penalty = penalty_for(images) if images.rows.shape[1] else 1.0
    tests = tally_of(evidence, images, trusted, penalty)
    for _ in range(ROUNDS - 1):
        still = tests.q > DISTRUST
        if (still == trusted).all():
            break
        trusted = still
        tests = tally_of(evidence, images, trusted, penalty)
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
        source=index_of(values, names),
        names=names,
        groups=[
            f"image {image}" if value is None else f"source {value}"
            for value, image in zip(values, evidence.ids, strict=True)
        ],
    )


def _report(evidence: Evidence, images: Sourced, tests: Tally, index: int) -> SourceReport:
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


def _test(fault: str, tests: Tally, index: int) -> SourceTest:
    rows, counts = tests.faults[fault], tests.counts[fault]
    shown = np.flatnonzero((rows.source == index) & rows.judged & rows.shows)
    return SourceTest(
        fault=fault,
        share=wilson(int(counts.shown[index]), int(counts.judged[index])),
        expected=float(counts.expected[index]),
        p=float(tests.p[fault][index]),
        ids=tuple(sorted({rows.ids[i] for i in shown.tolist()})),
    )
