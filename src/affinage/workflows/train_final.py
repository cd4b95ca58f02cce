"""Last phase of a training: the kept model, measured once on the test part, and its report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.checks import DEEP
from affinage.diagnosis.diagnose import diagnose
from affinage.evaluation.comparison import prediction_fingerprint
from affinage.evaluation.goals import answer_goal, parse_goal
from affinage.imaging.decode import decode
from affinage.imaging.hashing import thumbnail
from affinage.inference.forward import compute_logits
from affinage.metrics.intervals import percentile_estimate, resample
from affinage.models.build import Backbone
from affinage.models.classifier import Classifier
from affinage.models.parts import Metric, Parts
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.estimate import Estimate
from affinage.records.evaluation import Look
from affinage.records.finding import Finding
from affinage.records.part_counts import class_counts, left_out, split_sizes
from affinage.records.run import ModelCard, RunRecord
from affinage.records.verdict import Verdict
from affinage.reporting.html import to_html
from affinage.reporting.run_report import run_report
from affinage.store.files import write_text
from affinage.training.checkpoint import save_model
from affinage.training.objective_head import predicted
from affinage.workflows.moment import now
from affinage.workflows.session import Part, Session, TrainingData
from affinage.workflows.train_divergence import with_the_doctors
from affinage.workflows.train_features import FrozenFeatures, measured_part
from affinage.workflows.work import FeatureHead, TaskWork

OwnMetrics = dict[str, dict[str, Estimate]]
OWN_DRAWS = 200

_SEVERITIES = ("blocking", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The model that validation chose.

    Attributes:
        model: Backbone and head.
        head: The head on features where the backbone is frozen: test features then come from the cache.
        validation_logits: Of the model as validation chose it, before any refit.
        reason: Why it was chosen.
    """

    model: Classifier
    head: FeatureHead | None
    validation_logits: NDArray[np.floating]
    reason: str


def keep_model(
    session: Session, data: TrainingData, backbone: Backbone, chosen: Chosen, work: TaskWork
) -> ModelCard:
    """Save the chosen model with all that is needed to use it."""
    card = ModelCard(
        task=session.recipe.task,
        backbone=backbone.name,
        weights=backbone.weights.description,
        weights_sha256=backbone.weights.sha256,
        licence=backbone.weights.licence,
        parameters=sum(parameter.numel() for parameter in chosen.model.parameters()),
        preprocessing=backbone.preprocessing,
        classes=data.classes,
        outputs=work.lesson.objective.outputs,
        calibration=work.calibrate(chosen.validation_logits, data.validation.targets),
    )
    save_model(session.folder.model, chosen.model, backbone=backbone.name)
    session.folder.save_model_card(card)
    return card


def measure_parts(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    chosen: Chosen,
    card: ModelCard,
    work: TaskWork,
    parts: Parts | None,
) -> tuple[dict[str, AnyEvaluation], OwnMetrics]:
    """Score validation by the model that it chose, and test, for the first time, by the final one.

    Returns:
        Scores by part, and those of the user's own metrics by part and name.
    """
    own: OwnMetrics = {}
    evaluations: dict[str, AnyEvaluation] = {}
    tables: list[pl.DataFrame] = []

    def add(part: Part, outputs: NDArray[np.floating], features: NDArray[np.float32]) -> None:
        measured = measured_part(data, part, frozen, features)
        evaluations[part.name] = work.score(measured, outputs, card.calibration)
        tables.append(work.table(measured, outputs, card.calibration))
        if parts is not None and parts.metrics:
            said = predicted(work.lesson.objective, outputs)
            own[part.name] = {
                name: own_metric(metric, said, part.targets)
                for name, metric in parts.metrics.items()
            }

    add(data.validation, chosen.validation_logits, frozen.validation)
    if len(data.test):
        features = frozen.validation[:0]
        if len(frozen.train):
            features = frozen.of(session, data.test, "features of the test part")
        if chosen.head is not None:
            logits: NDArray[np.floating] = chosen.head.logits(features)
        else:
            logits = compute_logits(
                chosen.model,
                data.test.items,
                session.engine,
                progress=lambda done, total: session.reporter.phase("test part", done, total),
            )
        add(data.test, logits, features)
    session.folder.save_predictions(pl.concat(tables))
    return evaluations, own


def own_metric(
    metric: Metric, predictions: NDArray[np.floating], targets: NDArray[Any]
) -> Estimate:
    """Return a user's metric with its 95 % bootstrap interval over images."""
    n = len(targets)
    draws = [
        float(metric(predictions[rows], targets[rows])) for rows in resample(n, draws=OWN_DRAWS)
    ]
    return percentile_estimate(float(metric(predictions, targets)), np.array(draws), n)


def enter_look(session: Session, images: list[str], command: str) -> tuple[Look, ...]:
    """Enter a look at the test part in the data set's ledger, once per run, and return all of them."""
    if not images:
        return ()
    fingerprint = prediction_fingerprint(images)
    before = session.dataset.looks(fingerprint)
    created = session.folder.state()["created"]  # A run of the same name before that is another.
    mine = [look for look in before if look.run == session.folder.name and look.at >= created]
    if not any(look.command == command for look in mine):
        session.dataset.enter_look(
            Look(
                at=now(),
                run=session.folder.name,
                command=command,
                images=len(images),
                fingerprint=fingerprint,
            )
        )
    return tuple(session.dataset.looks(fingerprint))


def finish(
    session: Session,
    data: TrainingData,
    card: ModelCard,
    evaluations: dict[str, AnyEvaluation],
    own_metrics: OwnMetrics,
    choice: str,
    work: TaskWork,
) -> RunRecord:
    """Write results and report, and mark the run as finished."""
    looks = enter_look(session, data.test.images, "train")
    examined = diagnose(session.folder.watched()) if session.folder.was_watched else ()
    findings = with_the_doctors(
        [*session.findings, *_verdict_findings(evaluations, looks)], examined, session.recipe
    )
    goal = session.recipe.goal
    answer = (
        answer_goal(parse_goal(goal, work.task), evaluations.get("test", evaluations["validation"]))
        if goal
        else None
    )
    record = RunRecord(
        name=session.folder.name,
        created=session.folder.state()["created"],
        data=session.folder.state()["data"],
        sources=tuple(data.manifest.sources),
        recipe=session.folder.recipe_text(),
        seed=session.recipe.seed,
        environment=session.environment,
        model=card,
        split=split_sizes(data.split),
        class_counts=class_counts(data.manifest, data.split),
        left_out=left_out(data.manifest, data.split),
        closed_set=data.split.closed_set,
        carved=data.split.carved,
        stages=tuple(session.folder.stages()),
        choice=choice,
        evaluations=evaluations,
        own_metrics=own_metrics,
        goal=answer,
        looks=looks,
        findings=tuple(sorted(findings, key=lambda item: _SEVERITIES.index(item.severity))),
        signals=session.folder.signals(),
        seconds=session.folder.seconds(),
        budget_seconds=session.recipe.budget,
    )
    write_report(session.folder.report, record, data, examined)
    session.dataset.keep_findings(record.findings, deeper=DEEP)
    session.folder.finish(record)
    return record


def write_report(
    path: Path, record: RunRecord, data: TrainingData, examined: tuple[Verdict, ...]
) -> None:
    """Write the report, with pictures of the mistakes and what the doctor says of the training."""
    where = {item.image: item.path for part in (data.validation, data.test) for item in part.items}
    pictures: dict[str, bytes] = {}
    for evaluation in record.evaluations.values():
        for mistake in evaluation.mistakes:
            if mistake.image in where and mistake.image not in pictures:
                pixels = decode(where[mistake.image].read_bytes()).pixels
                pictures[mistake.image] = thumbnail(pixels)
    write_text(path, to_html(run_report(record, thumbnails=pictures, verdicts=examined)))


def _verdict_findings(
    evaluations: dict[str, AnyEvaluation], looks: tuple[Look, ...]
) -> list[Finding]:
    findings: list[Finding] = []
    memory = any(evaluation.memory_test for evaluation in evaluations.values())
    if "test" not in evaluations and not memory:
        findings.append(
            Finding(
                code="no-test-part",
                severity="warning",
                subject="There is no test part: the score is of images that chose the model.",
                remedy="Leave split.test above 0, or measure on new images: affinage evaluate RUN SOURCE",
            )
        )
    if len(looks) > 1:
        findings.append(
            Finding(
                code="test-part-seen-before",
                severity="warning",
                subject=f"The test part was looked at {len(looks)} times, this run included.",
                evidence=tuple(
                    f"{look.at}: {look.command} of run {look.run}" for look in looks[-5:]
                ),
                remedy="Decide between runs by validation; for a fresh verdict, collect new test images.",
            )
        )
    return findings
