"""A study as a page: the question, what was expected, what was run, what was seen, what to ask next."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Literal

from affinage.records.answer import Answer
from affinage.records.layer_histogram import LayerHistogram
from affinage.records.question import Question, Span, Value
from affinage.records.report import (
    Block,
    Code,
    Fact,
    Facts,
    Findings,
    Report,
    Section,
    Table,
    Text,
)
from affinage.records.study import ArmCurve, StudyRecord
from affinage.reporting.study_charts import (
    arms_map,
    bake_off,
    isolation,
    pairs_map,
    parallel,
    slices,
    space,
)
from affinage.reporting.study_compared import compared
from affinage.reporting.study_curves import curves_section
from affinage.reporting.study_figures import Figures
from affinage.reporting.study_layers import layers_section
from affinage.reporting.study_run import what_was_run
from affinage.reporting.study_search import searched
from affinage.reporting.titles import AT_A_GLANCE, FINDINGS
from affinage.reporting.words import NOTHING

MOST_SENTENCES = 3
"""Rows of a table that are told in sentences too; more of them would only say it again."""


def study_report(
    study: StudyRecord,
    *,
    share: bool,
    layers: tuple[str, Sequence[LayerHistogram]] = ("", ()),
    curves: Sequence[ArmCurve] = (),
    about: str = "",
) -> Report:
    """Return a study's page.

    Args:
        study: As read from its folder.
        share: Whether its metric is a share, shown as percent.
        layers: Name of its best training, and how the weights of its layers were spread.
        curves: How its trainings came on.
        about: What its metric is, in words.
    """
    said = study.answer
    shown = Figures(share=share)
    sections = [
        Section(title=AT_A_GLANCE, blocks=(_facts(study, shown),)),
        Section(title="The question", blocks=tuple(_question(study, shown, about))),
    ]
    if said is not None:
        sections += [
            Section(title="What was seen", blocks=tuple(_seen(study, said, shown))),
            *searched(study, said, shown),
            Section(title="What was run", blocks=(what_was_run(study, said, shown),)),
        ]
        sections += [*curves_section(study, said, curves, shown), *layers_section(*layers)]
        if said.findings:
            sections.append(Section(title=FINDINGS, blocks=(Findings(items=said.findings),)))
        sections.append(Section(title="What to ask next", blocks=tuple(_next(said.next_question))))
        sections += _failed(study)
    return Report(
        title=study.question.question,
        verdict=said.verdict if said is not None else "No answer yet.",
        tone=_tone(said),
        sections=tuple(sections),
        footer=_footer(study),
    )


COMMAND = "affinage train "


def _next(said: str) -> Iterator[Block]:
    """Yield what to ask next; a command to copy stands alone."""
    told, command, rest = said.partition(COMMAND)
    yield Text(paragraphs=(told.strip(),))
    if command:
        first, *settings = rest.split(" --set ")
        yield Code(text=" \\\n  --set ".join([command + first, *settings]))


def trials_csv(study: StudyRecord) -> str:
    """Return every trial that has ended as a row: arm, settings, seed, score, seconds, error."""
    keys = [one.key for one in study.question.nuisance]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["arm", *keys, "stage", "repeat", study.question.metric, "seconds", "state", "error"]
    )
    for trial in study.trials:
        job = trial.job
        table.writerow(
            [
                study.question.arms[job.arm].name,
                *(
                    "" if key in dict(study.question.arms[job.arm].idle) else value
                    for key, value in study.design[job.point]
                ),
                "confirm" if job.repeat else "explore",
                job.repeat,
                "" if trial.score is None else f"{trial.score:.6g}",
                f"{trial.seconds:.3f}",
                trial.state,
                trial.error,
            ]
        )
    return text.getvalue()


def _footer(study: StudyRecord) -> str:
    if is_past(study):
        return f"Study {study.name}, imported {study.asked}: these are the trials of others."
    shown = study.answer is not None and study.answer.trained is not None
    once = ", which the best was shown once" if shown else ""
    return f"Study {study.name}, asked {study.asked}. Trials never see the test part{once}."


def is_past(study: StudyRecord) -> bool:
    """Return whether a study was imported: its score has no name of ours."""
    return study.question.metric in ("score", "share", "loss")


def _tone(said: Answer | None) -> Literal["good", "caution", "neutral"]:
    if said is None or not said.finished:
        return "neutral"
    unsure = any(one.says == "cannot tell yet" for one in said.differences)
    return "caution" if unsure or said.findings else "good"


def _facts(study: StudyRecord, shown: Figures) -> Facts:
    announced, said = study.announced, study.answer
    items = []
    if announced is not None and announced.n > 1:
        items += [
            Fact(
                name="Images",
                value=f"{announced.n:,}",
                detail="that every trial is scored on; none is of the test part",
            )
        ]
    if announced is not None and announced.n > 1 and len(study.question.arms) > 1:
        items += [
            Fact(
                name="Detectable difference",
                value=shown.size(announced.detectable),
                detail="announced after the pilot; found in four of five such studies",
            ),
        ]
    if said is not None:
        items += [
            Fact(name="Trials", value=f"{said.trials:,}", detail=f"{said.failed:,} failed"),
            Fact(
                name="Cost", value=_duration(said.seconds), detail="of trials, all workers together"
            ),
        ]
    return Facts(items=tuple(items))


def _question(study: StudyRecord, shown: Figures, about: str) -> Iterator[Block]:
    question, announced = study.question, study.announced
    yield Text(
        paragraphs=(
            f"Why: {question.why or 'nobody said.'}",
            f"Expected: {question.expectation or 'nobody said.'}",
        )
    )
    rows = [("compared", "; ".join(_compared(question)))]
    rows += [(f"tuned for each: {one.key}", _range(one)) for one in question.nuisance]
    rows += [
        (f"not tuned for {arm.name}: {key}", f"It would change nothing: {why}.")
        for arm in question.arms
        for key, why in arm.idle
    ]
    rows += [
        ("fixed", ", ".join(question.fixed) or ("–" if is_past(study) else "the recipe's defaults"))
    ]
    better = "more is better" if shown.rising else "less is better"
    rows += [("scored by", f"{question.metric}: {about}; {better}" if about else question.metric)]
    if announced is not None and len(question.arms) > 1:
        asked = question.smallest is not None
        nobody = ", since nobody said how small a difference matters"
        rows += [("alike where within", shown.size(announced.smallest) + ("" if asked else nobody))]
        looks = ", ".join(str(look) for look in announced.looks)
        rows += [("looked at after", f"{looks} seed{'s' if looks != '1' else ''}")]
    if question.budget is not None:
        rows += [("budget", _duration(question.budget))]
    yield Table(columns=("what", "values"), rows=tuple(rows))


def _compared(question: Question) -> Iterator[str]:
    """Yield each arm's name, with what a step of a ladder sets where it has a name of its own."""
    before: set[object] = set()
    for arm in question.arms:
        own = [(key, value) for key, value in arm.settings if (key, str(value)) not in before]
        told = " ".join(setting(key, value) for key, value in own)
        before = {(key, str(value)) for key, value in arm.settings}
        plain = question.design != "add-one" or not own or told in arm.name
        yield arm.name if plain else f"{arm.name} ({told})"


def _range(one: object) -> str:
    if isinstance(one, Span):
        return f"{one.low:g} to {one.high:g}" + (", logarithmic" if one.log else "")
    return ", ".join(str(value) for value in one.values)  # type: ignore[attr-defined]


def _seen(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Block]:
    if said.differences:
        yield compared(study, said, shown)
        if len(said.differences) <= MOST_SENTENCES:
            yield Text(paragraphs=tuple(one.sentence for one in said.differences))
    if said.weighed:
        yield from bake_off(study, said, shown)
    yield from isolation(study, said, shown)
    if said.extrapolated:
        told = [one.sentence for one in said.extrapolated if one.sentence]
        yield Text(paragraphs=tuple(told[:MOST_SENTENCES]))
        yield _curve(said, shown)
    yield from arms_map(study, said, shown)
    yield from slices(study, shown)
    yield from parallel(study, shown)
    yield from pairs_map(study, said, shown)
    yield from space(study, said, shown)
    if said.importance:
        yield Table(
            columns=("parameter", "share of the spread", "95 %"),
            rows=tuple(
                (
                    " × ".join(one.parameters),
                    f"{100 * (one.share.value or 0):.0f} %",
                    NOTHING
                    if one.share.low is None or one.share.high is None
                    else f"{100 * one.share.low:.0f}–{100 * one.share.high:.0f} %",
                )
                for one in said.importance
            ),
            caption="How much of the spread of scores "
            + ("in exploration " if study.question.nuisance else "")
            + "goes with each; a pair's share is what it explains beyond its two: parameters that must be "
            "tuned together.",
            numeric=(1, 2),
        )


def _curve(said: Answer, shown: Figures) -> Table:
    return Table(
        columns=(
            "images of each class, or classes",
            "scored",
            "error that is to be expected [95 %]",
        ),
        rows=tuple(
            (f"{one.size:,}", one.of or "all", shown.estimate(one.error))
            for one in said.extrapolated
        ),
        caption="The learning curve, carried on by a power law fitted to its points. The band holds what "
        "chance does to the points, not that the law might not hold so far out.",
        numeric=(0, 2),
    )


def _failed(study: StudyRecord) -> list[Section]:
    failed = [trial for trial in study.trials if trial.state == "failed"]
    if not failed:
        return []
    rows = tuple(
        (
            study.question.arms[trial.job.arm].name,
            ", ".join(
                f"{key} = {value}"
                for key, value in study.design[trial.job.point]
                if key not in dict(study.question.arms[trial.job.arm].idle)
            )
            or NOTHING,
            trial.error,
        )
        for trial in failed[:50]
    )
    table = Table(columns=("arm", "settings", "error"), rows=rows)
    return [Section(title=f"Trials that failed ({len(failed)})", blocks=(table,), folded=True)]


def setting(key: str, value: Value) -> str:
    """Return `KEY=VALUE` as people write it."""
    said = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    return f"{key}={said:g}" if isinstance(said, float) else f"{key}={said}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
