"""What a lower precision costs, image by image, beside the trained model."""

import numpy as np
from numpy.typing import NDArray

from affinage.bundle.answers import answer
from affinage.metrics.intervals import paired_difference, wilson
from affinage.metrics.paired import paired_bootstrap
from affinage.records.bundle import Loss, Reading
from affinage.records.estimate import Estimate

METRICS = {"classify": "accuracy", "multilabel": "label_accuracy", "count": "mae"}
"""What is lost, by task: images right, labels right, objects miscounted."""

Numbers = NDArray[np.float64]


def loss_of(
    reading: Reading,
    trained: Numbers,
    exported: Numbers,
    targets: Numbers,
    *,
    allowed: float,
    surely: bool = False,
) -> Loss:
    """Return what the exported model loses on the same images, with a paired interval.

    Args:
        reading: How outputs become answers.
        trained: Outputs of the trained model, shape (n, labels).
        exported: Outputs of the exported one.
        targets: Truth: an index (n,) for `classify`, else (n, labels).
        allowed: Points of 100, or percent of the mean absolute error.
        surely: Whether the upper end of the interval is held to that, and not the value itself.
    """
    before, after = (scores(reading, rows, targets) for rows in (trained, exported))
    return Loss(
        metric=METRICS[reading.task],
        before=_estimate(reading, before),
        after=_estimate(reading, after),
        lost=_lost(reading, before, after),
        allowed=allowed,
        surely=surely,
    )


def scores(reading: Reading, rows: Numbers, targets: Numbers) -> Numbers:
    """Return one score for each image: 1 where right, the share of labels right, or the mean error."""
    if reading.task == "count":
        errors: Numbers = np.abs(np.maximum(rows, 0) - targets).mean(axis=1)
        return errors
    answers = [answer(reading, row) for row in rows]
    if reading.task == "classify":
        truth = [reading.labels[int(index)] for index in targets]
        return np.array(
            [a.label == t for a, t in zip(answers, truth, strict=True)], dtype=np.float64
        )
    given = np.array([[name in one.labels for name in reading.labels] for one in answers])
    right: Numbers = (given == (targets > 0.5)).mean(axis=1)
    return right


def _estimate(reading: Reading, values: Numbers) -> Estimate:
    if reading.task == "classify":
        return wilson(int(values.sum()), len(values))
    return paired_bootstrap(values[None])


def _lost(reading: Reading, before: Numbers, after: Numbers) -> Estimate:
    if reading.task == "classify":
        return _times(paired_difference(before > 0.5, after > 0.5), 100.0)
    if reading.task == "multilabel":
        return _times(paired_bootstrap((before - after)[None]), 100.0)
    return _times(paired_bootstrap((after - before)[None]), 100.0 / max(float(before.mean()), 1e-9))


def _times(estimate: Estimate, factor: float) -> Estimate:
    value, low, high = (
        None if one is None else one * factor
        for one in (estimate.value, estimate.low, estimate.high)
    )
    return Estimate(value=value, low=low, high=high, n=estimate.n)
