"""How the trainings of a study came on, read from their runs."""

from collections.abc import Iterator, Mapping

import numpy as np

from affinage.records.signals import Signals
from affinage.records.study import ArmCurve, StudyRecord
from affinage.store.run_folder import RunFolder
from affinage.store.study_folder import StudyFolder
from affinage.studies.planning import best_points

ON = ("train (evaluation mode)", "validation")

Course = Mapping[float, float]
"""Of one series on one part: the value by epochs."""


def arm_curves(folder: StudyFolder, record: StudyRecord) -> tuple[ArmCurve, ...]:
    """Return the mean curves of each arm's trainings on fresh seeds, at the setting that is confirmed.

    Args:
        folder: With the runs of trials that fine-tuned.
        record: Of the study.
    """
    best = best_points(record.question, {trial.job: trial for trial in record.trials})
    found: dict[int, list[Signals]] = {}
    for trial in record.trials:
        job = trial.job
        if (
            trial.run
            and trial.state == "complete"
            and job.repeat
            and job.point == best.get(job.arm)
        ):
            found.setdefault(job.arm, []).append(RunFolder(folder.runs / trial.run).signals())
    return tuple(
        curve
        for arm, seeds in sorted(found.items())
        for curve in _of_arm(arm, seeds, metric=record.question.metric)
    )


def _of_arm(arm: int, seeds: list[Signals], *, metric: str) -> Iterator[ArmCurve]:
    named = {point.series for one in seeds for point in one.points if point.on in ON}
    series = metric if metric in named else "loss"
    for on in ON:
        courses = [_course(one, series, on) for one in seeds]
        shared = sorted(set.intersection(*(set(course) for course in courses)))
        points = tuple((epoch, float(np.mean([c[epoch] for c in courses]))) for epoch in shared)
        if len(points) > 1:
            yield ArmCurve(arm=arm, series=series, on=on, points=points, seeds=len(seeds))


def _course(signals: Signals, series: str, on: str) -> Course:
    """Return one curve of fine-tuning; a refit has no validation, and is left out."""
    return {
        point.epoch: point.value
        for point in signals.points
        if point.stage == "finetune" and point.series == series and point.on == on
    }
