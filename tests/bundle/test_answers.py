import numpy as np
import pytest
import torch

from affinage.bundle.answers import answer, said
from affinage.evaluation.count_intervals import count_intervals
from affinage.records.bundle import Reading
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.workflows.tasks import work_of

CLASSES = ("a", "b", "c")
RAW = np.random.default_rng(0).normal(0, 2, (40, 3)).astype(np.float32)


def reading(task, kind, calibration):
    names = ("temperature", "positive", "threshold", "rule", "thresholds", "margins", "coverage")
    classes = CLASSES[:2] if calibration.positive else CLASSES
    settings = {name: getattr(calibration, name) for name in names}
    return Reading(task=task, labels=classes, kind=kind, **settings)


def agree(work, given, calibration, outputs, raw):
    for row, values in zip(raw, outputs, strict=True):
        ours = answer(given, values, path="x")
        theirs = work.answer("x", row, calibration, ())
        assert said(ours) == said(theirs)
        assert ours.ranges == theirs.ranges
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-6)
        assert ours.counts == pytest.approx(theirs.counts, abs=1e-5)


def test_sets_of_labels_are_read_as_the_run_reads_them():
    work = work_of(Recipe(task="multilabel"), CLASSES, np.zeros((1, 3), np.float32))
    calibration = Calibration(thresholds=(0.2, 0.5, 0.9))
    outputs = work.lesson.objective.predict(torch.from_numpy(RAW)).numpy()
    agree(work, reading("multilabel", "probability", calibration), calibration, outputs, RAW)


def test_counts_and_their_ranges_are_read_as_the_run_reads_them():
    work = work_of(Recipe(task="count"), CLASSES, np.ones((1, 3), np.float32))
    calibration = Calibration(margins=((0.3, 0.7), (1.1, 0.2), (2.0, 2.0)))
    outputs = work.lesson.objective.predict(torch.from_numpy(RAW)).numpy()
    agree(work, reading("count", "count", calibration), calibration, outputs, RAW)
    low, high = count_intervals(outputs, calibration.margins)
    given = reading("count", "count", calibration)
    ranges = [list(answer(given, row).ranges.values()) for row in outputs]
    assert np.array_equal(np.array(ranges), np.stack([low, high], axis=-1))


@pytest.mark.parametrize("threshold", [None, 0.1, 0.5, 0.97])
def test_a_threshold_on_one_of_two_classes_is_kept(threshold):
    work = work_of(Recipe(), CLASSES[:2], np.zeros(1, np.int64))
    calibration = Calibration(temperature=1.6, positive="b", threshold=threshold)
    raw = RAW[:, :2]
    outputs = torch.softmax(torch.from_numpy(raw) / 1.6, dim=1).numpy()
    agree(work, reading("classify", "probability", calibration), calibration, outputs, raw)
