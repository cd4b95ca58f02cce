"""The report of an audit: findings in the order of what they cost, with pictures to judge them by."""

from collections import Counter
from collections.abc import Mapping

from affinage.records.audit import AuditResult
from affinage.records.finding import Finding
from affinage.records.report import (
    Block,
    Fact,
    Facts,
    Findings,
    Gallery,
    Picture,
    Report,
    Section,
    Table,
    Text,
)
from affinage.records.source import SourceReport
from affinage.reporting.titles import AT_A_GLANCE, FINDINGS
from affinage.reporting.verdict import Tone
from affinage.reporting.words import NOTHING, count, duration, estimated, interval, label, percent

Key = tuple[str, ...]
Pictures = Mapping[Key, bytes]

_PICTURES, _PAIRS = 12, 8
_SOURCES, _OF_A_SOURCE = 10, 8
_TABLE = 60


def pictures_wanted(result: AuditResult) -> list[Key]:
    """Return the images and pairs that the report shows, by image id."""
    wanted = [key for finding in result.findings for key in _keys(finding)]
    for source in _shown_sources(result):
        wanted.extend(_examples(source))
    return list(dict.fromkeys(wanted))


def audit_report(
    result: AuditResult, *, pictures: Pictures | None = None, paths: Mapping[str, str] | None = None
) -> Report:
    """Return the report of an audit.

    Args:
        result: What it found.
        pictures: JPEG bytes by (image id,) or (image id, image id); a finding without is told in words.
        paths: What to write under the picture of each image id: its path and label.
    """
    verdict, tone = audit_verdict(result)
    sheet = _Sheet(pictures or {}, paths or {})
    sections = [
        Section(title=AT_A_GLANCE, blocks=(_glance(result),)),
        Section(title=FINDINGS, blocks=_findings(result, sheet)),
        Section(title="Sources", blocks=_sources(result, sheet)),
        Section(title="Classes", blocks=(_classes(result),), folded=len(result.classes) > _TABLE),
        Section(title="Where the time went", blocks=(_time(result),), folded=True),
    ]
    return Report(
        title=f"{label(result.data)} · audit",
        verdict=verdict,
        tone=tone,
        sections=tuple(section for section in sections if section.blocks),
        footer="DATA in a command stands for the data set's folder. "
        "A guess carries the rate at which guesses of its kind are right. For wrong labels and off-topic "
        "images it is computed from the data set itself, and n is how many are guessed; for others it "
        "was measured on n cases. Intervals are 95 % intervals.",
    )


def audit_verdict(result: AuditResult) -> tuple[str, Tone]:
    """Return what the audit says of the data set, in one sentence, and its tone."""
    counts: Counter[str] = Counter(finding.severity for finding in result.findings)
    looked = f"{count(result.images, 'image')} in {count(len(result.classes), 'class', 'classes')}"
    if counts["blocking"]:
        first = next(item for item in result.findings if item.severity == "blocking")
        return f"Settle this before you train: {first.subject}", "bad"
    if counts["warning"]:
        first = next(item for item in result.findings if item.severity == "warning")
        others = counts["warning"] - 1
        more = f" ({count(others, 'further warning')} below)" if others else ""
        return f"{looked}; what may cost most: {first.subject.rstrip('.')}{more}.", "caution"
    return f"{looked}; nothing was found that would mislead a training or a score.", "good"


class _Sheet:
    """Contact sheets from the pictures that are there."""

    def __init__(self, pictures: Pictures, paths: Mapping[str, str]) -> None:
        self._pictures = pictures
        self._paths = paths

    def gallery(self, keys: list[Key], caption: str = "") -> tuple[Block, ...]:
        shown = [key for key in keys if key in self._pictures]
        if not shown:
            return ()
        return (Gallery(pictures=tuple(map(self._picture, shown)), caption=caption),)

    def _picture(self, key: Key) -> Picture:
        names = [label(self._paths.get(image, image[:12])) for image in key]
        return Picture(
            data=self._pictures[key],
            media_type="image/jpeg",
            caption="\n".join(names),
            alternative=" beside ".join(names),
        )


def _keys(finding: Finding) -> list[Key]:
    if finding.pairs:
        return [(pair.first_id, pair.second_id) for pair in finding.pairs[:_PAIRS]]
    return [(image,) for image in finding.ids[:_PICTURES]]


def _findings(result: AuditResult, sheet: _Sheet) -> tuple[Block, ...]:
    if not result.findings:
        return (Text(paragraphs=("Nothing was found that its owner should know.",)),)
    blocks: list[Block] = []
    for finding in result.findings:
        blocks.append(Findings(items=(finding,)))
        keys = _keys(finding)
        everything = len(finding.pairs) or len(finding.ids)
        caption = (
            f"{len(keys)} of {count(everything)}. More: affinage sample DATA --finding {finding.code}"
            if everything > len(keys)
            else ""
        )
        blocks.extend(sheet.gallery(keys, caption))
    return tuple(blocks)


def _glance(result: AuditResult) -> Facts:
    counts: Counter[str] = Counter(finding.severity for finding in result.findings)
    out = result.rows - result.images
    sizes = sorted(result.classes.values())
    items = [
        Fact(
            name="Images",
            value=count(result.images),
            detail=f"{count(out, 'row')} not kept, or copies" if out else "",
        ),
        Fact(
            name="Classes",
            value=count(len(result.classes)),
            detail=f"{count(sizes[0])} to {count(sizes[-1], 'image')} each" if sizes else "",
        ),
        *(
            Fact(name=name, value=count(counts[severity]))
            for severity, name in (
                ("blocking", "Blocking"),
                ("warning", "Warnings"),
                ("note", "Notes"),
            )
        ),
        Fact(
            name="Looked at",
            value="everything" if "features" in result.looked_at else "files and pixels",
            detail=", ".join(result.looked_at),
        ),
    ]
    return Facts(items=tuple(items))


def _shown_sources(result: AuditResult) -> list[SourceReport]:
    return [source for source in result.source_reports if source.suspicious][:_SOURCES]


def _examples(source: SourceReport) -> list[Key]:
    ids = dict.fromkeys(image for test in source.tests for image in test.ids)
    return [(image,) for image in list(ids)[:_OF_A_SOURCE]]


def _sources(result: AuditResult, sheet: _Sheet) -> tuple[Block, ...]:
    reports = result.source_reports
    if not reports:
        return ()
    judged = sum(source.p is not None for source in reports)
    bad = sum(source.suspicious for source in reports)
    text = (
        f"{count(len(reports), 'value')} of {label(result.group or '')}; {count(judged)} have images"
        f" enough to be judged, {count(bad)} stand out at a false-discovery rate of 5 %."
    )
    shown = reports[:_TABLE]
    faults = list(dict.fromkeys(test.fault for source in shown for test in source.tests))
    table = Table(
        columns=("Source", "Images", "Purest label", *(fault.replace("-", " ") for fault in faults),
                 "q", "Others gain without it"),
        rows=tuple(_source_row(source, faults) for source in shown),
        caption=f"The first {len(shown)}, the worst first." if len(reports) > len(shown) else "",
        numeric=tuple(range(1, 5 + len(faults))),
    )  # fmt: skip
    blocks: list[Block] = [Text(paragraphs=(text,)), table]
    for source in _shown_sources(result):
        caption = f"{label(source.value)}: what stands out in it."
        blocks.extend(sheet.gallery(_examples(source), caption))
    return tuple(blocks)


def _source_row(source: SourceReport, faults: list[str]) -> tuple[str, ...]:
    tests = {test.fault: test for test in source.tests}
    shares = [
        f"{estimated(tests[fault].share)}, expected {percent(tests[fault].expected, source.images)}"
        if fault in tests
        else NOTHING
        for fault in faults
    ]
    gain = NOTHING
    if source.gain is not None and source.gain.value is not None:
        gain = f"{100 * source.gain.value:+.1f} points {interval(source.gain)}"
    q = NOTHING if source.q is None else "< 0.001" if source.q < 0.001 else f"{source.q:.3f}"
    return (
        label(source.value),
        count(source.images),
        percent(source.purity, source.images),
        *shares,
        q,
        gain,
    )


def _classes(result: AuditResult) -> Table:
    return Table(
        columns=("Class", "Images", "Share"),
        rows=tuple(
            (label(name), count(n), percent(n / max(1, result.images), result.images))
            for name, n in result.classes.items()
        ),
        caption="Different kept images of each class.",
        numeric=(1, 2),
    )


def _time(result: AuditResult) -> Table:
    rows = [(label(name), duration(seconds)) for name, seconds in result.seconds.items()]
    together = duration(sum(result.seconds.values()))
    return Table(columns=("Phase", "Time"), rows=(*rows, ("Together", together)), numeric=(1,))
