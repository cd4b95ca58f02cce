"""Scores of counts on one part, with intervals and baselines."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.evaluation.count_intervals import Margins, count_intervals
from affinage.metrics.counts import (
    Constants,
    Rounding,
    check_counts,
    constants,
    count_confusion,
    count_scores,
    mean_error,
    redrawn_means,
    round_counts,
)
from affinage.metrics.intervals import paired_difference, percentile_estimate, wilson
from affinage.records.count_evaluation import (
    CountConfusion,
    CountEvaluation,
    CountGain,
    CountGains,
    CountInterval,
    CountMistake,
    CountRival,
    CountRivals,
    CountScores,
)
from affinage.records.estimate import Estimate

MOST_MISTAKES = 24
RIVALS = ("mean", "median", "mode")

Table = NDArray[np.float64]


def evaluate_counts(
    *,
    part: str,
    expected: ArrayLike,
    counts: ArrayLike,
    images: Sequence[str],
    paths: Sequence[str],
    classes: tuple[str, ...],
    train_counts: ArrayLike,
    rounding: Rounding = "nearest",
    memory_test: bool = False,
    margins: Margins = (),
    coverage: float | None = None,
    seed: int = 0,
) -> CountEvaluation:
    """Return the scores of a model's expected counts on one part.

    Errors in objects are of the expected counts as they are; whether a count is exact or within one
    is asked of the rounded count. Gains over a baseline are paired image by image: for errors by the
    same bootstrap draws, for exact counts by Newcombe's interval.

    Args:
        part: `train`, `validation`, `test`, or the name of another source.
        expected: Shape (n, K); below 0 counts as 0.
        counts: True ones, shape (n, K).
        images: Their ids, n.
        paths: Where they lie, for people, n.
        classes: Class names in the order of the columns.
        train_counts: Of the training part, shape (m, K), for the baselines; without any, none is given.
        rounding: How whole counts are made, before they are compared.
        memory_test: True where the model learnt from these very images.
        margins: From `fit_margins` on validation; empty for no intervals.
        coverage: What those were made to hold.
        seed: Of the bootstrap.

    Raises:
        DataError: If there is no image or shapes disagree.

    Source:
        Wilson 1927; Efron 1979; Newcombe 1998; see `metrics`.
    """
    said, truth = check_counts(expected, counts)
    _check_sizes(part, said, len(images), len(paths), len(classes))
    scores = count_scores(said, truth, rounding=rounding, seed=seed)
    known = np.asarray(train_counts, dtype=np.float64)
    fixed = constants(known) if len(known) else None
    whole, right = round_counts(said, rounding), round_counts(truth)
    errors = _overall(said - truth, whole - right, seed=seed)
    return CountEvaluation(
        part=part,
        memory_test=memory_test,
        n=len(truth),
        classes=classes,
        rounding=rounding,
        **errors,
        all_exact=wilson(int((whole == right).all(axis=1).sum()), len(truth)),
        per_class=dict(zip(classes, scores, strict=True)),
        baselines=_baselines(fixed, truth, classes, rounding, seed) if fixed else {},
        gains=_gains(fixed, said, truth, classes, rounding, seed) if fixed else {},
        confusion=_confusions(right, whole, classes, scores),
        mistakes=_worst(said, truth, whole != right, images, paths, classes),
        interval=coverage if margins else None,
        intervals=_intervals(said, truth, margins, classes) if margins else {},
    )


def without_whole_numbers(evaluation: CountEvaluation) -> CountEvaluation:
    """Return the evaluation of shares: nothing in it asks whether a rounded number is right.

    Every share rounds to 0 or 1, so that exact ones, those within one and confusions would say nothing.
    """
    unknown = Estimate(value=None, low=None, high=None, n=evaluation.n)

    def rival(one: CountRival) -> CountRival:
        return replace(one, within_one=unknown, exact=unknown)

    def gain(one: CountGain) -> CountGain:
        return replace(one, exact=unknown)

    return replace(
        evaluation,
        within_one=unknown,
        exact=unknown,
        all_exact=unknown,
        per_class={
            name: replace(scores, within_one=unknown, exact=unknown)
            for name, scores in evaluation.per_class.items()
        },
        baselines={
            name: CountRivals(mean=rival(one.mean), median=rival(one.median), mode=rival(one.mode))
            for name, one in evaluation.baselines.items()
        },
        gains={
            name: CountGains(mean=gain(one.mean), median=gain(one.median), mode=gain(one.mode))
            for name, one in evaluation.gains.items()
        },
        confusion={},
    )


def _check_sizes(part: str, table: Table, images: int, paths: int, classes: int) -> None:
    if not len(table):
        raise DataError(
            f"The part '{part}' has no image: there is nothing to measure.",
            remedy="Give images that belong to it, or leave the part out.",
        )
    if not (images == paths == len(table)) or classes != table.shape[1]:
        raise DataError(
            f"'{part}' has {len(table)} rows of {table.shape[1]} counts, {images} images, {paths} paths "
            f"and {classes} classes.",
            remedy="Give one of each for every image, and one count for each class.",
        )


def _overall(errors: Table, off: NDArray[np.int64], *, seed: int) -> dict[str, Estimate]:
    """Return the means over the classes of each score, by bootstrap draws of whole images."""
    k = errors.shape[1]
    within, exact = np.abs(off) <= 1, off == 0
    redrawn = redrawn_means(np.hstack([errors**2, within, exact]), seed=seed)
    means = redrawn_means(
        np.stack([np.abs(errors).mean(axis=1), errors.mean(axis=1)], axis=1), seed=seed
    )
    n = len(errors)
    rmse = float(np.sqrt((errors**2).mean(axis=0)).mean())
    return {
        "mae": mean_error(np.abs(errors).mean(axis=1), means[:, 0]),
        "rmse": percentile_estimate(rmse, np.sqrt(redrawn[:, :k]).mean(axis=1), n),
        "bias": mean_error(errors.mean(axis=1), means[:, 1], least=-np.inf),
        "within_one": _share(within, redrawn[:, k : 2 * k]),
        "exact": _share(exact, redrawn[:, 2 * k :]),
    }


def _share(hits: NDArray[np.bool_], redrawn: Table) -> Estimate:
    """Return a mean share over classes; with Wilson's interval where no draw can differ."""
    n = len(hits)
    found = percentile_estimate(float(hits.mean()), redrawn.mean(axis=1), n)
    return wilson(int(hits.all()) * n, n) if hits.all() or not hits.any() else found


def _baselines(
    fixed: Constants, truth: Table, classes: tuple[str, ...], rounding: Rounding, seed: int
) -> dict[str, CountRivals]:
    scored = {}
    for name in RIVALS:
        said = np.broadcast_to(getattr(fixed, name), truth.shape)
        scored[name] = count_scores(said, truth, rounding=rounding, seed=seed)
    return {
        label: CountRivals(**{
            name: _rival(float(getattr(fixed, name)[index]), scored[name][index])
            for name in RIVALS
        })
        for index, label in enumerate(classes)
    }  # fmt: skip


def _rival(predicts: float, scores: CountScores) -> CountRival:
    shown = (field.name for field in fields(CountRival) if field.name != "predicts")
    return CountRival(predicts=predicts, **{name: getattr(scores, name) for name in shown})


def _gains(
    fixed: Constants, said: Table, truth: Table, classes: tuple[str, ...], rounding: Rounding,
    seed: int,
) -> dict[str, CountGains]:  # fmt: skip
    whole, right = round_counts(said, rounding), round_counts(truth)
    by_rival: dict[str, list[CountGain]] = {}
    for name in RIVALS:
        rival = np.broadcast_to(getattr(fixed, name), truth.shape)
        saved = np.abs(rival - truth) - np.abs(said - truth)
        redrawn = redrawn_means(saved, seed=seed)
        hits = round_counts(rival, rounding) == right
        by_rival[name] = [
            CountGain(
                mae=percentile_estimate(float(saved[:, c].mean()), redrawn[:, c], len(truth)),
                exact=paired_difference((whole == right)[:, c], hits[:, c]),
            )
            for c in range(len(classes))
        ]
    return {
        label: CountGains(**{name: by_rival[name][index] for name in RIVALS})
        for index, label in enumerate(classes)
    }


def _confusions(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: tuple[str, ...],
    scores: tuple[CountScores, ...],
) -> dict[str, CountConfusion]:
    found = {}
    for index, label in enumerate(classes):
        values, table = count_confusion(truth[:, index], predicted[:, index])
        found[label] = CountConfusion(
            values=tuple(values.tolist()),
            table=tuple(tuple(row) for row in table.tolist()),
            on_diagonal=scores[index].exact,
        )
    return found


def _worst(
    said: Table,
    truth: Table,
    wrong: NDArray[np.bool_],
    images: Sequence[str],
    paths: Sequence[str],
    classes: tuple[str, ...],
) -> tuple[CountMistake, ...]:
    """Return the counts that surprise most: far off, in units of the root of what was expected."""
    surprise = np.abs(said - truth) / np.sqrt(said + 1)
    places: list[list[int]] = np.argwhere(wrong).tolist()
    places.sort(key=lambda place: (-surprise[place[0], place[1]], images[place[0]], place[1]))
    return tuple(
        CountMistake(
            image=images[row],
            path=paths[row],
            name=classes[column],
            truth=float(truth[row, column]),
            predicted=float(said[row, column]),
        )
        for row, column in places[:MOST_MISTAKES]
    )


def _intervals(
    said: Table, truth: Table, margins: Margins, classes: tuple[str, ...]
) -> dict[str, CountInterval]:
    low, high = count_intervals(said, margins)
    held = (low <= truth) & (truth <= high)
    return {
        label: CountInterval(
            coverage=wilson(int(held[:, index].sum()), len(truth)),
            width=float((high - low + 1)[:, index].mean()),
        )
        for index, label in enumerate(classes)
    }
