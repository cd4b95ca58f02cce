"""What a study has written, read again, and its page; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from affinage.records.answer import Answer
from affinage.records.question import Question, Settings
from affinage.records.report import Report
from affinage.records.study import StudyRecord
from affinage.reporting.html import to_html
from affinage.reporting.markdown import to_markdown
from affinage.reporting.study_report import study_report, trials_csv
from affinage.store.run_folder import RunFolder
from affinage.store.study_folder import StudyFolder
from affinage.store.trial_queue import TrialQueue
from affinage.studies.design import nuisance_points
from affinage.studies.planning import best_run
from affinage.studies.scoring import METRICS
from affinage.workflows.study_curves import arm_curves

PAST = ("score", "share", "loss")
"""Scores of studies that were imported: what was tried stands in the journal alone."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study's folder, as Python sees it.

    Args:
        path: The folder that `affinage study ask` wrote.
    """

    path: Path

    @property
    def record(self) -> StudyRecord:
        """All that is known of it."""
        return read_study(self.path)

    @property
    def question(self) -> Question:
        """What was asked."""
        return StudyFolder(self.path).question()

    @property
    def answer(self) -> Answer | None:
        """The answer so far."""
        return StudyFolder(self.path).answer()

    @property
    def report(self) -> Report:
        """Its page, as data."""
        return report_of(StudyFolder(self.path), self.record)

    @property
    def page(self) -> Path:
        """Its page, HTML."""
        return StudyFolder(self.path).page


def read_study(study: str | Path) -> StudyRecord:
    """Return all that is known of a study.

    Raises:
        RunError: If it is no study.
    """
    folder = StudyFolder(Path(study))
    question = folder.question()
    queue = TrialQueue(folder.path, question, sign=METRICS[question.metric].sign)
    try:
        return record_of(folder, question, queue)
    finally:
        queue.close()


def record_of(folder: StudyFolder, question: Question, queue: TrialQueue) -> StudyRecord:
    """Return all that is known of a study."""
    ended, announced = queue.ended(), folder.announced()
    points = queue.points()
    if question.metric not in PAST:
        points |= dict(enumerate(designed(question)))
    return StudyRecord(
        name=folder.name, asked=folder.asked(), question=question, design=in_order(points),
        images=announced.n if announced else None, announced=announced,
        trials=tuple(ended[job] for job in sorted(ended)), answer=folder.answer(),
    )  # fmt: skip


def in_order(points: Mapping[int, Settings]) -> tuple[Settings, ...]:
    """Return settings by index, without a gap: a search proposes one after another."""
    return tuple(points[place] for place in range(len(points)))


def write_page(folder: StudyFolder, record: StudyRecord) -> None:
    """Write a study's page, as HTML and Markdown, and its table of trials."""
    report = report_of(folder, record)
    folder.save_pages(to_html(report), to_markdown(report), trials_csv(record))


def report_of(folder: StudyFolder, record: StudyRecord) -> Report:
    """Return a study's page as data, with the curves of its trainings and the layers of the best."""
    metric = METRICS[record.question.metric]
    best = best_run(record.trials, sign=metric.sign)
    layers = RunFolder(folder.runs / best).layer_histograms() if best else ()
    curves = arm_curves(folder, record)
    return study_report(
        record, share=metric.share, layers=(best, layers), curves=curves, about=metric.about
    )


def designed(question: Question) -> tuple[Settings, ...]:
    """Return the settings of exploration."""
    return nuisance_points(question.nuisance, points=question.points, seed=question.seed)
