"""Scores of a classifier on one part, with intervals and baselines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.evaluation.threshold import choose_threshold
from affinage.metrics.classification import (
    balanced_accuracy,
    check_labels,
    check_probabilities,
    confusion,
    f1_scores,
    log_losses,
    macro_f1,
)
from affinage.metrics.intervals import (
    paired_difference,
    percentile_estimate,
    resample,
    wilson,
    wilson_bounds,
)
from affinage.metrics.ranking import average_precision, roc_auc, roc_curve
from affinage.records.estimate import Estimate
from affinage.records.evaluation import BinaryCurve, ClassScores, Evaluation, Mistake

__all__ = ["choose_threshold", "evaluate_classification"]

MOST_MISTAKES = 24
MOST_CURVE_POINTS = 512
DRAWS = 1000
LARGEST_BATCH = 4_000_000
"""Confusion cells that the bootstrap holds at once: 32 MB."""


def evaluate_classification(
    *,
    part: str,
    probabilities: ArrayLike,
    labels: ArrayLike,
    images: Sequence[str],
    paths: Sequence[str],
    classes: tuple[str, ...],
    train_labels: ArrayLike,
    nearest: ArrayLike | None,
    memory_test: bool = False,
    threshold: tuple[str, float, str] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return the scores of a classifier's probabilities on one part.

    The predicted class is the most probable one, the first of equals. With a threshold on one of
    two classes it is that class where its probability reaches the threshold, else the other;
    accuracy, recall and all else but log loss and the curves follow these predictions.

    Intervals hold for new images of the same kind: Wilson's for shares; for balanced accuracy,
    macro F1 and log loss the percentiles of 1000 bootstrap draws of images, stratified by true
    class for the first two (a class of few images would otherwise be missing from some draws,
    and the mean would change its meaning). A class with one image contributes no spread there.
    A prediction that is not wrong once has a degenerate bootstrap: the interval is then widened
    to Wilson's of the accuracy, which is the least that n images can say.

    Args:
        part: `train`, `validation`, `test`, or the name of another source.
        probabilities: Shape (n, classes), rows summing to 1.
        labels: True class indices, shape (n,).
        images: Their ids, n.
        paths: Where they lie, for people, n.
        classes: Class names in the order of the columns.
        train_labels: Class indices of the training part, for the baseline `largest_class`;
            where it is empty that baseline is left out.
        nearest: Classes that the nearest neighbour says, shape (n,); None where not asked.
        memory_test: True where the model learnt from these very images.
        threshold: (class to find, its lowest probability, the rule in words); for two classes.
        seed: Of the bootstrap.

    Raises:
        DataError: If there is no image, shapes disagree, or the threshold's class is unknown.

    Source:
        Wilson 1927; Efron 1979; see `metrics`.
    """
    table, truth = check_probabilities(probabilities, labels)
    _check_sizes(part, (len(truth), len(images), len(paths)), (table.shape[1], len(classes)))
    _check_threshold(classes, threshold)
    predicted = _predict(table, classes, threshold)
    wrong = _most_confident(table, truth, predicted, images)
    counts = confusion(truth, predicted, len(classes))
    rivals = _rivals(truth, train_labels, nearest, len(classes))
    n, right = len(truth), int((truth == predicted).sum())
    balanced, f1, loss = _bootstrapped(table, truth, predicted, len(classes), seed=seed)
    return Evaluation(
        part=part,
        memory_test=memory_test,
        n=n,
        accuracy=wilson(right, n),
        balanced_accuracy=balanced,
        macro_f1=f1,
        log_loss=loss,
        per_class=_per_class(counts, classes),
        classes=tuple(classes),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        baselines={name: wilson(int(hits.sum()), n) for name, hits in rivals.items()},
        gains={name: paired_difference(truth == predicted, hits) for name, hits in rivals.items()},
        mistakes=tuple(
            Mistake(
                image=images[row],
                path=paths[row],
                truth=classes[truth[row]],
                predicted=classes[predicted[row]],
                confidence=min(1.0, float(table[row, predicted[row]])),
            )
            for row in wrong
        ),
        binary=_binary(table, truth, classes, threshold) if len(classes) == 2 else None,
    )


def _check_sizes(part: str, rows: tuple[int, int, int], columns: tuple[int, int]) -> None:
    if not rows[0]:
        raise DataError(
            f"The part '{part}' has no image: there is nothing to measure.",
            remedy="Give images that belong to it, or leave the part out.",
        )
    if len(set(rows)) > 1 or len(set(columns)) > 1:
        raise DataError(
            f"'{part}' has {rows[0]} labels, {rows[1]} images, {rows[2]} paths, "
            f"{columns[0]} probabilities a row and {columns[1]} classes.",
            remedy="Give one of each for every image, and one probability for each class.",
        )


def _check_threshold(classes: tuple[str, ...], threshold: tuple[str, float, str] | None) -> None:
    if threshold is not None and (len(classes) != 2 or threshold[0] not in classes):
        raise DataError(
            f"A threshold on '{threshold[0]}' needs two classes, one of them that; "
            f"these are {', '.join(classes)}.",
            remedy="Leave the threshold out, or name one of the two classes.",
        )


def _predict(
    table: NDArray[np.float64],
    classes: tuple[str, ...],
    threshold: tuple[str, float, str] | None,
) -> NDArray[np.int64]:
    if threshold is None:
        predicted: NDArray[np.int64] = table.argmax(axis=1).astype(np.int64)
        return predicted
    positive = classes.index(threshold[0])
    return np.where(table[:, positive] >= threshold[1], positive, 1 - positive).astype(np.int64)


def _bootstrapped(
    table: NDArray[np.float64],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: int,
    *,
    seed: int,
) -> tuple[Estimate, Estimate, Estimate]:
    """Return balanced accuracy, macro F1 and log loss, with bootstrap intervals."""
    n = len(truth)
    counts = confusion(truth, predicted, classes)
    balanced, f1 = _redrawn_scores(counts, seed=seed)
    losses = log_losses(table, truth)
    step = max(1, LARGEST_BATCH // n)
    means = [
        losses[resample(n, seed=seed + first, draws=min(step, DRAWS - first))].mean(axis=1)
        for first in range(0, DRAWS, step)
    ]
    floor = wilson_bounds(int(np.trace(counts)), n)
    return (
        _at_least(percentile_estimate(float(balanced_accuracy(counts)), balanced, n), floor),
        _at_least(percentile_estimate(float(macro_f1(counts)), f1, n), floor),
        percentile_estimate(float(losses.mean()), np.concatenate(means), n),
    )


def _redrawn_scores(
    counts: NDArray[np.int64], *, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both scores of stratified bootstrap draws, each of shape (draws,).

    Drawing the images of one class again gives multinomial counts over that class's row of the
    confusion matrix: the same distribution as drawing images, without touching them.
    """
    classes = len(counts)
    random = np.random.default_rng(seed)
    step = max(1, LARGEST_BATCH // classes**2)
    balanced, f1 = [], []
    for first in range(0, DRAWS, step):
        drawn = np.zeros((min(step, DRAWS - first), classes, classes), dtype=np.int64)
        for index, row in enumerate(counts):
            if row.sum():
                drawn[:, index] = random.multinomial(row.sum(), row / row.sum(), size=len(drawn))
        balanced.append(np.atleast_1d(balanced_accuracy(drawn)))
        f1.append(np.atleast_1d(macro_f1(drawn)))
    return np.concatenate(balanced), np.concatenate(f1)


def _at_least(estimate: Estimate, floor: tuple[float, float]) -> Estimate:
    """Return the estimate, with the accuracy's interval where the bootstrap's has no width."""
    if estimate.low != estimate.high or estimate.value is None:
        return estimate
    return Estimate(
        value=estimate.value,
        low=min(estimate.value, floor[0]),
        high=max(estimate.value, floor[1]),
        n=estimate.n,
    )


def _per_class(counts: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, ClassScores]:
    f1 = f1_scores(counts)
    return {
        name: ClassScores(
            precision=wilson(int(counts[index, index]), int(counts[:, index].sum())),
            recall=wilson(int(counts[index, index]), int(counts[index].sum())),
            f1=None if np.isnan(f1[index]) else float(f1[index]),
        )
        for index, name in enumerate(classes)
    }


def _rivals(
    truth: NDArray[np.int64], train_labels: ArrayLike, nearest: ArrayLike | None, classes: int
) -> dict[str, NDArray[np.bool_]]:
    """Return whether each baseline is right on each image, by the baseline's name."""
    found: dict[str, NDArray[np.bool_]] = {}
    known = check_labels(train_labels, classes)
    if len(known):
        found["largest_class"] = truth == int(np.bincount(known, minlength=classes).argmax())
    if nearest is not None:
        answers = check_labels(nearest, classes)
        if len(answers) != len(truth):
            raise DataError(
                f"There are {len(truth)} images but {len(answers)} answers of the nearest neighbour.",
                remedy="Give one answer for each image, in the same order.",
            )
        found["nearest_neighbour"] = truth == answers
    return found


def _most_confident(
    table: NDArray[np.float64],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    images: Sequence[str],
) -> list[int]:
    """Return the rows of the mistakes to show, the most confident first, ties by image id."""
    wrong: list[int] = np.flatnonzero(truth != predicted).tolist()
    return sorted(wrong, key=lambda row: (-table[row, predicted[row]], images[row]))[:MOST_MISTAKES]


def _binary(
    table: NDArray[np.float64],
    truth: NDArray[np.int64],
    classes: tuple[str, ...],
    threshold: tuple[str, float, str] | None,
) -> BinaryCurve | None:
    """Return the trade-offs of two classes; None where only one of them occurs."""
    name, value, rule = threshold or (classes[1], *choose_threshold([], []))
    index = classes.index(name)
    scores, positive = table[:, index], truth == index
    if positive.all() or not positive.any():
        return None
    curve = roc_curve(scores, positive)
    shown = _thinned(len(curve.thresholds))
    called = scores >= value
    return BinaryCurve(
        positive=name,
        roc_auc=roc_auc(scores, positive),
        average_precision=average_precision(scores, positive),
        false_positive_rate=tuple(curve.false_positive_rate[shown].tolist()),
        true_positive_rate=tuple(curve.true_positive_rate[shown].tolist()),
        precision=tuple(curve.precision[shown].tolist()),
        # The first point calls nothing; as a probability (JSON knows no infinity) that is above 1.
        thresholds=tuple(
            np.where(np.isinf(curve.thresholds), 1.1, curve.thresholds)[shown].tolist()
        ),
        threshold=value,
        rule=rule,
        sensitivity=wilson(int((called & positive).sum()), int(positive.sum())),
        specificity=wilson(int((~called & ~positive).sum()), int((~positive).sum())),
    )


def _thinned(points: int) -> NDArray[np.intp]:
    """Return at most MOST_CURVE_POINTS indices of a curve, evenly, both ends among them."""
    if points <= MOST_CURVE_POINTS:
        return np.arange(points)
    return np.unique(np.linspace(0, points - 1, MOST_CURVE_POINTS).round().astype(np.intp))
