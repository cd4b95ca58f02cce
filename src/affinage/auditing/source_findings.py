"""Bad sources in words."""

from collections.abc import Iterator, Sequence
from shlex import quote

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.metrics.intervals import wilson
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.source import SourceJudgement, SourceReport, SourceTest
from affinage.records.words import in_percent

OWN = 10
"""Sources that get a finding of their own; further ones share one."""

RIGHT, REPORTED = 355, 357
"""Reported sources, and how many of them were truly bad, when 378 were planted in six pairs of image sets
(benchmarks/sources.py)."""

_WORDS = {
    "wrong-label": ("look mislabelled", "wrong labels"),
    "off-topic": ("are unlike any class", "off topic"),
    "copy": ("are copies of other images", "copies"),
}


def source_findings(judgement: SourceJudgement, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each suspicious source, the worst first; those beyond ten share one."""
    bad = judgement.suspicious
    path_of = dict(zip(evidence.ids, evidence.paths, strict=True))
    for report in bad[:OWN]:
        yield _finding(report, judgement, path_of)
    if len(bad) > OWN:
        yield _further(bad[OWN:], path_of)


def _finding(report: SourceReport, judgement: SourceJudgement, path_of: dict[str, str]) -> Finding:
    standing_out = _standing_out(report)
    worst = standing_out[0]
    ids = _ids(standing_out, path_of)
    return Finding(
        code="bad-sources",
        severity="warning",
        subject=f"{report.value!r} ({report.column}, {count(report.images, 'image')}):"
        f" {_rate(worst)} {_WORDS[worst.fault][0]}, where {in_percent(worst.expected)} is usual"
        " for its labels.",
        evidence=(
            *(_compared(test) for test in report.tests),
            _makeup(report),
            *_effect(report, judgement),
            f"q = {report.q:.2g}: the share of false alarms among sources that stand out so far",
        ),
        remedy=_exclude(report, worst),
        images=tuple(path_of[image] for image in ids),
        ids=ids,
        hit_rate=_hit_rate(),
        cost=_cost(report, len(path_of)),
    )


def _further(reports: Sequence[SourceReport], path_of: dict[str, str]) -> Finding:
    tests = [_standing_out(report) for report in reports]
    ids = tuple(dict.fromkeys(image for some in tests for image in _ids(some, path_of)))
    return Finding(
        code="bad-sources",
        severity="warning",
        subject=f"{count(len(reports), 'further source')} of '{reports[0].column}' stand out"
        f" ({sum(report.images for report in reports):,} images).",
        evidence=lines(
            f"{report.value!r}: {count(report.images, 'image')},"
            f" {_rate(some[0])} {_WORDS[some[0].fault][0]}, where {in_percent(some[0].expected)} is usual"
            for report, some in zip(reports, tests, strict=True)
        ),
        remedy="affinage exclude DATA --finding bad-sources",
        images=tuple(path_of[image] for image in ids),
        ids=ids,
        hit_rate=_hit_rate(),
        cost=sum(_cost(report, len(path_of)) for report in reports),
    )


def _standing_out(report: SourceReport) -> list[SourceTest]:
    """Return the tests that would stand out alone, the clearest first."""
    by_p = sorted(report.tests, key=lambda test: test.p)
    return by_p[:1] + [test for test in by_p[1:] if test.p <= 0.01]


def _ids(tests: Sequence[SourceTest], path_of: dict[str, str]) -> tuple[str, ...]:
    found = dict.fromkeys(image for test in tests for image in test.ids)
    return tuple(image for image in found if image in path_of)


def _rate(test: SourceTest) -> str:
    share = test.share
    return f"{round((share.value or 0) * share.n):,} of {share.n:,}"


def _compared(test: SourceTest) -> str:
    share = test.share
    if share.value is None or share.low is None or share.high is None:
        return f"{_WORDS[test.fault][1]}: not judged, its labels are too rare elsewhere"
    return (
        f"{_WORDS[test.fault][1]}: {in_percent(share.value)} [{in_percent(share.low)},"
        f" {in_percent(share.high)}] of {share.n:,}, {in_percent(test.expected, 1)} expected"
    )


def _makeup(report: SourceReport) -> str:
    label, n = report.labels[0]
    return f"{count(len(report.labels), 'label')}; {in_percent(report.purity)} is '{label}' ({n:,})"


def _effect(report: SourceReport, judgement: SourceJudgement) -> Iterator[str]:
    if report.gain is not None:
        yield f"without it, accuracy on the other sources' images changes by {_points(report.gain)}"
    if judgement.gain is not None and len(judgement.suspicious) > 1:
        yield (
            f"without all {len(judgement.suspicious)} suspicious sources, by"
            f" {_points(judgement.gain)}"
        )


def _points(gain: Estimate) -> str:
    value, low, high = (100 * (end or 0) for end in (gain.value, gain.low, gain.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}] (n = {gain.n:,})"


def _exclude(report: SourceReport, worst: SourceTest) -> str:
    where = quote(f"{report.column}={report.value}")
    return f"affinage exclude DATA --where {where} --reason {quote(_WORDS[worst.fault][1])}"


def _cost(report: SourceReport, images: int) -> float:
    """Return the expected excess of faulty images, as a share of the data set."""
    excess = max(((test.share.value or 0) - test.expected) for test in _standing_out(report))
    return max(0.0, excess) * report.images / max(1, images)


def _hit_rate() -> Estimate:
    return wilson(RIGHT, REPORTED)
