"""Scores of sets of labels on one part, with intervals and baselines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError
from affinage.metrics.intervals import paired_difference, percentile_estimate, wilson
from affinage.metrics.multilabel import (
    SetScores,
    average_precisions,
    check_sets,
    set_scores,
)
from affinage.records.estimate import Estimate
from affinage.records.multilabel_evaluation import (
    LabelScores,
    MultilabelEvaluation,
    MultilabelGain,
    MultilabelMistake,
    MultilabelRival,
)

MOST_MISTAKES = 24
FEWEST = 5
"""Images with a label, and without it, from which on its threshold is chosen."""

Sets = NDArray[np.bool_]
Rivals = dict[str, NDArray[np.bool_]]


def evaluate_multilabel(
    *,
    part: str,
    probabilities: ArrayLike,
    labels: ArrayLike,
    images: Sequence[str],
    paths: Sequence[str],
    classes: tuple[str, ...],
    train_labels: ArrayLike,
    thresholds: Sequence[float] = (),
    memory_test: bool = False,
    seed: int = 0,
) -> MultilabelEvaluation:
    """Return the scores of a model's probabilities of labels on one part.

    A label is given where its probability reaches its threshold. Scores but average precision follow
    the given labels. Where thresholds were chosen on this very part, its F1 is a little too good.

    Args:
        part: `train`, `validation`, `test`, or the name of another source.
        probabilities: Of each label, shape (n, K).
        labels: 0 and 1, shape (n, K).
        images: Their ids, n.
        paths: Where they lie, for people, n.
        classes: Labels in the order of the columns.
        train_labels: Of the training part, shape (m, K), for the baselines; without any, none is given.
        thresholds: As `choose_label_thresholds` gives them; empty for 0.5.
        memory_test: True where the model learnt from these very images.
        seed: Of the bootstrap.

    Raises:
        DataError: If there is no image or shapes disagree.

    Source:
        See `metrics.multilabel`; gains in exact match: Newcombe 1998.
    """
    table, truth = check_sets(probabilities, labels)
    _check_sizes(part, table, len(images), len(paths), len(classes))
    cuts = np.asarray(thresholds or [0.5] * len(classes), dtype=np.float64)
    given = table >= cuts
    scores = set_scores(truth, given, seed=seed)
    rivals = _rivals(np.asarray(train_labels) > 0.5, truth)
    rival_scores = {name: set_scores(truth, said, seed=seed) for name, said in rivals.items()}
    ranked, mean_ranked = average_precisions(table, truth, seed=seed)
    return MultilabelEvaluation(
        part=part,
        memory_test=memory_test,
        n=len(truth),
        classes=classes,
        macro_f1=scores.macro_f1,
        micro_f1=scores.micro_f1,
        exact_match=scores.exact_match,
        hamming_loss=scores.hamming_loss,
        mean_average_precision=mean_ranked,
        per_class={
            name: _label_scores(truth[:, c], given[:, c], float(cuts[c]), scores.f1[c], ranked[c])
            for c, name in enumerate(classes)
        },
        baselines={name: _as_rival(rival_scores[name], rivals[name], classes) for name in rivals},
        gains={
            name: _gain(truth, given, rivals[name], scores, rival_scores[name]) for name in rivals
        },
        mistakes=_surest(table, truth, given, images, paths, classes),
    )


def choose_label_thresholds(probabilities: ArrayLike, labels: ArrayLike) -> tuple[float, ...]:
    """Return the probability from which each label is given: the one with the best F1 on these images.

    It lies halfway between two probabilities that occur; of equally good ones it is that nearest
    to 0.5. A label that fewer than 5 images have, or lack, keeps 0.5: there the best is luck.

    Args:
        probabilities: Of each label on validation, shape (n, K).
        labels: 0 and 1, shape (n, K).

    Raises:
        DataError: If the shapes disagree or a probability is not one.

    Source:
        Lipton et al., Optimal Thresholding of Classifiers to Maximize F1 Measure, 2014.
    """
    table, truth = check_sets(probabilities, labels)
    return tuple(_best_cut(table[:, c], truth[:, c]) for c in range(table.shape[1]))


def _best_cut(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    n, having = len(scores), int(positive.sum())
    if min(having, n - having) < FEWEST:
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), n - 1]
    found = np.cumsum(positive[order])[ends]
    f1 = 2 * found / (ends + 1 + having)
    here = scores[order][ends]
    cuts = (here + np.r_[here[1:], 0.0]) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])


def _check_sizes(
    part: str, table: NDArray[np.float64], images: int, paths: int, classes: int
) -> None:
    if not len(table):
        raise DataError(
            f"The part '{part}' has no image: there is nothing to measure.",
            remedy="Give images that belong to it, or leave the part out.",
        )
    if not (images == paths == len(table)) or classes != table.shape[1]:
        raise DataError(
            f"'{part}' has {len(table)} rows of {table.shape[1]} probabilities, {images} images, "
            f"{paths} paths and {classes} labels.",
            remedy="Give one of each for every image, and one probability for each label.",
        )


def _rivals(known: Sets, truth: Sets) -> Rivals:
    if not len(known):
        return {}
    sets, times = np.unique(known, axis=0, return_counts=True)
    fixed = {"prevalence": known.mean(axis=0) >= 0.5, "commonest_set": sets[times.argmax()]}
    return {name: np.broadcast_to(said, truth.shape) for name, said in fixed.items()}


def _as_rival(scores: SetScores, said: Sets, classes: tuple[str, ...]) -> MultilabelRival:
    return MultilabelRival(
        predicts=tuple(name for name, given in zip(classes, said[0], strict=True) if given),
        macro_f1=scores.macro_f1,
        micro_f1=scores.micro_f1,
        exact_match=scores.exact_match,
        hamming_loss=scores.hamming_loss,
    )


def _gain(
    truth: Sets, given: Sets, said: Sets, scores: SetScores, rival: SetScores
) -> MultilabelGain:
    n = len(truth)
    drawn = scores.redrawn - rival.redrawn  # The same draws of images: paired.
    f1 = _difference(scores.macro_f1, rival.macro_f1)
    loss = _difference(rival.hamming_loss, scores.hamming_loss)
    return MultilabelGain(
        macro_f1=percentile_estimate(f1, drawn[:, 0], n),
        exact_match=paired_difference((given == truth).all(axis=1), (said == truth).all(axis=1)),
        hamming_loss=percentile_estimate(loss, -drawn[:, 1], n),
    )


def _difference(a: Estimate, b: Estimate) -> float:
    return float("nan") if a.value is None or b.value is None else a.value - b.value


def _label_scores(
    truth: Sets, given: Sets, threshold: float, f1: Estimate, ranked: Estimate
) -> LabelScores:
    found, having = int((truth & given).sum()), int(truth.sum())
    return LabelScores(
        prevalence=wilson(having, len(truth)),
        threshold=threshold,
        precision=wilson(found, int(given.sum())),
        recall=wilson(found, having),
        f1=f1,
        average_precision=ranked,
        always_f1=2 * having / (having + len(truth)) if having else None,
    )


def _surest(
    table: NDArray[np.float64],
    truth: Sets,
    given: Sets,
    images: Sequence[str],
    paths: Sequence[str],
    classes: tuple[str, ...],
) -> tuple[MultilabelMistake, ...]:
    """Return the images whose worst answer was given with the most confidence first."""
    right = np.where(truth, table, 1 - table).min(axis=1)
    wrong: list[int] = np.flatnonzero((truth != given).any(axis=1)).tolist()
    wrong.sort(key=lambda row: (right[row], images[row]))
    names = np.array(classes, dtype=object)
    return tuple(
        MultilabelMistake(
            image=images[row],
            path=paths[row],
            missed=tuple(names[truth[row] & ~given[row]]),
            wrong=tuple(names[~truth[row] & given[row]]),
            confidence=float(np.clip(right[row], 0.0, 1.0)),
        )
        for row in wrong[:MOST_MISTAKES]
    )
