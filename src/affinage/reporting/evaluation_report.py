"""The report of a finished model's scores on other images."""

from collections.abc import Mapping, Sequence

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.evaluation import Evaluation
from affinage.records.finding import Finding
from affinage.records.report import Block, Findings, Report, Section, Text
from affinage.reporting.score_blocks import (
    class_table,
    confusion_blocks,
    mistake_blocks,
    score_table,
    threshold_blocks,
)
from affinage.reporting.titles import FINDINGS, SCORES
from affinage.reporting.verdict import evaluation_verdict
from affinage.reporting.voices import classifiers, voice_of
from affinage.reporting.words import label


def evaluation_report(
    run: str,
    evaluation: AnyEvaluation,
    findings: Sequence[Finding] = (),
    *,
    thumbnails: Mapping[str, bytes] | None = None,
) -> Report:
    """Return the report of what `affinage evaluate` measured.

    Args:
        run: Name of the run.
        evaluation: Scores on the source.
        findings: What was left out and why.
        thumbnails: JPEG bytes by image id, for the mistakes.
    """
    verdict, tone = evaluation_verdict(label(run), evaluation)
    shown = thumbnails or {}
    sections = [
        Section(title=SCORES, blocks=_scores(evaluation)),
        Section(title=FINDINGS, blocks=_findings(findings)),
        *_more(evaluation, shown),
    ]
    return Report(
        title=f"{label(run)} on {label(evaluation.part)}",
        verdict=verdict,
        tone=tone,
        sections=tuple(sections),
    )


def _scores(evaluation: AnyEvaluation) -> tuple[Block, ...]:
    voice = voice_of(evaluation)
    if voice is not None:
        return voice.scores({evaluation.part: evaluation})
    return (score_table(classifiers({evaluation.part: evaluation})),)


def _more(evaluation: AnyEvaluation, thumbnails: Mapping[str, bytes]) -> list[Section]:
    voice = voice_of(evaluation)
    if voice is not None:
        blocks = voice.mistakes(evaluation, thumbnails)
        return [*voice.sections(evaluation), Section(title=voice.mistakes_title, blocks=blocks)]
    assert isinstance(evaluation, Evaluation)
    binary = evaluation.binary
    mistakes = mistake_blocks({evaluation.part: evaluation}, thumbnails)
    return [
        Section(title="What is taken for what", blocks=confusion_blocks(evaluation)),
        *([Section(title="The threshold", blocks=threshold_blocks(binary))] if binary else []),
        Section(title="Each class", blocks=(class_table(evaluation),)),
        Section(title="The most confident mistakes", blocks=mistakes),
    ]


def _findings(findings: Sequence[Finding]) -> tuple[Block, ...]:
    if not findings:
        return (Text(paragraphs=("Nothing was left out.",)),)
    return (Findings(items=tuple(findings)),)
