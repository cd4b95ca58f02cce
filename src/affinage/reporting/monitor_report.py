"""The report of a monitored model: alarms, an accuracy without labels, what to label next."""

from affinage.records.monitored import MonitorResult, WindowJudged
from affinage.records.report import (
    Block,
    Chart,
    Fact,
    Facts,
    Findings,
    Line,
    Report,
    Section,
    Table,
    Text,
)
from affinage.reporting.titles import AT_A_GLANCE, FINDINGS, TO_LABEL
from affinage.reporting.verdict import Tone
from affinage.reporting.words import NOTHING, count, estimated, interval, label, moment

_WINDOWS = 60


def monitor_report(result: MonitorResult) -> Report:
    """Return the report of what a log shows."""
    verdict, tone = monitor_verdict(result)
    return Report(
        title=f"{label(result.bundle)} · monitor",
        verdict=verdict,
        tone=tone,
        sections=(
            Section(title=AT_A_GLANCE, blocks=(_glance(result), Text(paragraphs=(result.why,)))),
            Section(title=FINDINGS, blocks=_findings(result)),
            Section(title=TO_LABEL, blocks=_to_label(result)),
            Section(title="Windows", blocks=_windows(result), folded=True),
        ),
        footer=f"Compared with {result.compared}. An alarm is raised in at most"
        f" {100 * result.false_alarms:g} % of windows without shift. Intervals are 95 % intervals.",
    )


def monitor_verdict(result: MonitorResult) -> tuple[str, Tone]:
    """Return what the log shows in one sentence, and its tone."""
    loud = sum(window.alarm for window in result.windows)
    if not result.windows:
        return f"{count(result.images, 'image')} so far: too few to judge.", "neutral"
    if result.findings:
        return result.findings[0].subject, "caution"
    if loud == 0:
        return (
            f"{count(result.images, 'image')} in {count(len(result.windows), 'window')}: like those that"
            " the model was trained on.",
            "good",
        )
    return f"{count(loud, 'window')} of {len(result.windows)} raised an alarm.", "caution"


def _glance(result: MonitorResult) -> Facts:
    loud = sum(window.alarm for window in result.windows)
    items = [
        Fact(
            name="Images",
            value=count(result.images),
            detail=f"{count(result.others)} more were answered by another bundle"
            if result.others
            else "",
        ),
        Fact(name="Alarms", value=count(loud), detail=f"in {count(len(result.windows), 'window')}"),
        Fact(
            name="Accuracy, estimated" if result.known else "Accuracy",
            value=estimated(result.accuracy) if result.known else "not known",
            detail=f"{interval(result.accuracy)}, without labels" if result.known else "",
        ),
        Fact(
            name="On validation",
            value=estimated(result.validation),
            detail=f"{interval(result.validation)}, n = {result.validation.n}",
        ),
    ]
    for name, found in (
        ("On labels that came", result.measured),
        ("Of these, by chance", result.measured_by_chance),
    ):
        if found.n:
            items.append(
                Fact(name=name, value=estimated(found), detail=f"{interval(found)}, n = {found.n}")
            )
    return Facts(items=tuple(items))


def _findings(result: MonitorResult) -> tuple[Block, ...]:
    if result.findings:
        return (Findings(items=result.findings),)
    return (Text(paragraphs=("Nothing was found that the owner should know.",)),)


def _to_label(result: MonitorResult) -> tuple[Block, ...]:
    rows = tuple(
        (
            label(one.name) if one.name else one.image[:12],
            label(one.label) or NOTHING,
            NOTHING if one.confidence is None else f"{100 * one.confidence:.0f} %",
            one.reason,
        )
        for one in result.to_label
    )
    table = Table(columns=("image", "called", "sure", "why"), rows=rows, numeric=(2,))
    return (table,) if rows else (Text(paragraphs=("None was asked for.",)),)


def _windows(result: MonitorResult) -> tuple[Block, ...]:
    if not result.windows:
        return (Text(paragraphs=("There is no full window yet.",)),)
    shown = result.windows[-_WINDOWS:]
    rows = tuple(_row(one, str(one.number)) for one in shown)
    if result.together is not None:
        rows = (*rows, _row(result.together, f"last {result.together.images} together"))
    columns = ("window", "until", "", "p", "changed", "unlike", "accuracy, estimated")
    table = Table(columns=columns, rows=rows, numeric=(0, 3, 5, 6))
    points = tuple(
        (float(one.number), one.accuracy.value) for one in shown if one.accuracy.value is not None
    )
    if len(points) < 3:
        return (table,)
    chart = Chart(
        title="Accuracy, estimated without labels", x="window", y="accuracy",
        lines=(Line(name="estimated", points=points),),
    )  # fmt: skip
    return (chart, table)


def _row(one: WindowJudged, name: str) -> tuple[str, ...]:
    return (
        name,
        moment(one.until),
        "alarm" if one.alarm else "quiet",
        f"{one.p:.2g}",
        ", ".join(dict.fromkeys(change.name for change in one.changed)) or NOTHING,
        estimated(one.unlike),
        estimated(one.accuracy),
    )
