"""Learning curves of a study in words: what more images, or more classes, would probably give."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affinage.records.answer import Extrapolated
from affinage.records.estimate import Estimate
from affinage.records.question import Question
from affinage.studies.asking import CLASSES, IMAGES_PER_CLASS
from affinage.studies.learning_curve import extrapolate, extrapolate_classes
from affinage.studies.scoring import METRICS, Metric

WORST = 5
"""Classes that get a sentence of their own: those with the most mistakes."""

FEWEST_OF_CLASS = 10
"""Images of a class below which nothing is said of it alone."""

Points = list[tuple[int, NDArray[np.float64]]]


def curves_of(
    question: Question, confirmed: Sequence[NDArray[np.float64]], labels: Sequence[str]
) -> tuple[Extrapolated, ...]:
    """Return what twice and four times the images, or twice the classes, would probably give.

    Args:
        question: What was asked; where images per class or classes alone are varied, there is a curve.
        confirmed: Of each arm, the score of each image on each fresh seed, shape (seeds, images).
        labels: Class of each image, for the classes alone; may be empty.
    """
    keys = {tuple(key for key, _ in arm.settings) for arm in question.arms}
    if keys not in ({(IMAGES_PER_CLASS,)}, {(CLASSES,)}):
        return ()
    metric = METRICS[question.metric]
    points = [
        (int(float(arm.settings[0][1])), 1 - rows if metric.share else rows)  # type: ignore[arg-type]
        for arm, rows in zip(question.arms, confirmed, strict=True)
        if rows.size
    ]
    points.sort(key=lambda point: point[0])
    if not points:
        return ()
    if keys == {(CLASSES,)}:
        return _by_classes(points, metric, question.seed)
    told = _by_images(points, metric, question.seed, of="")
    for label in _worst(points[-1][1], labels):
        own = np.array([one == label for one in labels])
        mine = [(size, rows[:, own]) for size, rows in points]
        told += _by_images(mine, metric, question.seed, of=label)
    return told


def _by_images(points: Points, metric: Metric, seed: int, *, of: str) -> tuple[Extrapolated, ...]:
    sizes = [size for size, _ in points]
    found = extrapolate(
        sizes, [rows for _, rows in points], [2 * sizes[-1], 4 * sizes[-1]], seed=seed
    )
    return tuple(
        replace(
            one, more=one.size - sizes[-1], of=of, sentence=_more_images(one, sizes[-1], metric, of)
        )
        for one in found
    )


def _by_classes(points: Points, metric: Metric, seed: int) -> tuple[Extrapolated, ...]:
    classes = [size for size, _ in points]
    found = extrapolate_classes(classes, [rows for _, rows in points], [2 * classes[-1]], seed=seed)
    return tuple(
        replace(one, sentence=f"{one.size} classes like these: about {_score(one.error, metric)}.")
        for one in found
    )


def _more_images(one: Extrapolated, known: int, metric: Metric, of: str) -> str:
    whose = f"of class {of}, and as many of every other" if of else "of each class"
    what = f"{metric.name.replace('_', ' ')} on it" if of else metric.name.replace("_", " ")
    return f"{one.size - known:,} more images {whose}: {what} about {_score(one.error, metric)}."


def _score(error: Estimate, metric: Metric) -> str:
    """Return a score with its band, such as `0.90 [0.87, 0.93]`."""
    if error.value is None:
        return "unknown"
    value, low, high = error.value, error.low, error.high
    if metric.share:
        value, low, high = (
            1 - value, None if high is None else 1 - high, None if low is None else 1 - low
        )  # fmt: skip
    band = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{band}"


def _worst(rows: NDArray[np.float64], labels: Sequence[str]) -> list[str]:
    """Return the classes with the greatest error, the worst first, of those with images enough."""
    if len(labels) != rows.shape[1]:
        return []
    named, mean = np.array(labels), rows.mean(axis=0)
    found = [
        (-float(mean[named == label].mean()), label)
        for label in sorted(set(labels))
        if (named == label).sum() >= FEWEST_OF_CLASS
    ]
    return [label for _, label in sorted(found)[:WORST]]
