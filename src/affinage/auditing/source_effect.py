"""What leaving sources out of the training does to the accuracy on the other sources' images."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.source_signs import Sourced, spread
from affinage.heads.folds import assign_folds
from affinage.heads.linear import LinearHead, fit_linear
from affinage.metrics.intervals import paired_difference
from affinage.records.source import SourceJudgement

MEASURED = 5
"""Suspicious sources whose own effect is measured at most: each takes two fits per fold."""

FOLDS = 3
LEARNT = 6_000
"""Images that a head learns from at most, sources in proportion."""

Answers = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def with_effects(judgement: SourceJudgement, images: Sourced, penalty: float) -> SourceJudgement:
    """Return the judgement with the gains of leaving out the worst sources, alone and together."""
    bad = [images.names.index(report.value) for report in judgement.suspicious]
    if not bad:
        return judgement
    gains = {
        images.names[index]: paired_difference(*_answers(images, images.source == index, penalty))
        for index in bad[:MEASURED]
    }
    together = (
        gains[images.names[bad[0]]]
        if len(bad) == 1
        else paired_difference(*_answers(images, np.isin(images.source, bad), penalty))
    )
    reports = tuple(replace(report, gain=gains.get(report.value)) for report in judgement.reports)
    return replace(judgement, reports=reports, gain=together)


def _answers(images: Sourced, left_out: NDArray[np.bool_], penalty: float) -> Answers:
    """Return which images of the other sources are right without these images, and which with them.

    Both heads learn from the same folds of the other sources, which are held out whole.
    """
    part = assign_folds(images.labels, images.ids, folds=FOLDS, seed=0, groups=images.groups)
    without, with_them = np.zeros((2, len(left_out)), dtype=bool)
    for number in range(int(part.max()) + 1):
        asked = (part == number) & ~left_out
        learnt = spread((part != number) | left_out, LEARNT)
        kept = learnt[~left_out[learnt]]
        if not asked.any() or not len(kept):
            continue
        clean = _fit(images, kept, penalty, start=None)
        without[asked] = _right(images, clean, asked)
        with_them[asked] = _right(images, _fit(images, learnt, penalty, start=clean), asked)
    return without[~left_out], with_them[~left_out]


def _fit(
    images: Sourced, learnt: NDArray[np.intp], penalty: float, *, start: LinearHead | None
) -> LinearHead:
    return fit_linear(
        images.rows[learnt], images.labels[learnt], images.classes, penalty=penalty, start=start
    )


def _right(images: Sourced, head: LinearHead, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (
        head.logits(images.rows[asked]).argmax(axis=1) == images.labels[asked]
    )
    return right
