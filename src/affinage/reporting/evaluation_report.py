"""The report of a finished model's scores on other images."""

from collections.abc import Mapping, Sequence

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
from affinage.reporting.words import label


def evaluation_report(
    run: str,
    evaluation: Evaluation,
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
    parts = {evaluation.part: evaluation}
    binary = evaluation.binary
    sections = [
        Section(title=SCORES, blocks=(score_table(parts),)),
        Section(title=FINDINGS, blocks=_findings(findings)),
        Section(title="What is taken for what", blocks=confusion_blocks(evaluation)),
        *([Section(title="The threshold", blocks=threshold_blocks(binary))] if binary else []),
        Section(title="Each class", blocks=(class_table(evaluation),)),
        Section(
            title="The most confident mistakes", blocks=mistake_blocks(parts, thumbnails or {})
        ),
    ]
    return Report(
        title=f"{label(run)} on {label(evaluation.part)}",
        verdict=verdict,
        tone=tone,
        sections=tuple(sections),
    )


def _findings(findings: Sequence[Finding]) -> tuple[Block, ...]:
    if not findings:
        return (Text(paragraphs=("Nothing was left out.",)),)
    return (Findings(items=tuple(findings)),)
