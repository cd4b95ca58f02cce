"""How well a cue alone tells the classes of images that it was not learnt from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.auditing.evidence import Evidence
from affinage.auditing.shortcut_cues import Cue
from affinage.heads.folds import assign_folds
from affinage.heads.out_of_fold import out_of_fold
from affinage.metrics.intervals import bootstrap, wilson_bounds
from affinage.records.estimate import Estimate

FEWEST = 10
"""Images below which nothing is said of a class."""

FOLDS = 5

DRAWS = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """How well a cue alone tells the classes, on images that it was not learnt from.

    Attributes:
        answers: The class that the cue suggests for each image, shape (n,).
        labels: The true ones, shape (n,).
        edge: By how much more often each class is answered for its own images than for others, in
            [-1, 1], shape (classes,); NaN for classes with too few images.
        surely: Lower end of its interval, at 95 % over all classes together.
    """

    answers: NDArray[np.int64]
    labels: NDArray[np.int64]
    edge: NDArray[np.float64]
    surely: NDArray[np.float64]


def tell(cue: Cue, evidence: Evidence) -> Told:
    """Return what a small predictor makes of a cue in cross-validation."""
    rows = np.arange(len(evidence.labels)) if cue.rows is None else cue.rows
    labels, classes, ids = evidence.labels[rows], len(evidence.classes), evidence.ids
    chosen = [ids[row] for row in rows.tolist()]
    if cue.kind == "pixels":
        scores = out_of_fold(cue.values, labels, classes, penalty=0.01, ids=chosen, folds=FOLDS)
        answers = _answers(scores)
    else:
        answers = _out_of_fold(cue, labels, chosen, classes)
    edge, surely = _edges(answers, labels, classes)
    return Told(answers=answers, labels=labels, edge=edge, surely=surely)


def _out_of_fold(
    cue: Cue, labels: NDArray[np.int64], ids: list[str], classes: int
) -> NDArray[np.int64]:
    part = assign_folds(labels, ids, folds=FOLDS, seed=0)
    predict = _tree if cue.kind == "numbers" else _table
    answers = np.zeros(len(labels), dtype=np.int64)
    for number in range(int(part.max(initial=-1)) + 1):
        out, kept = part == number, part != number
        if kept.any():
            scores = predict(cue.values[kept], labels[kept], cue.values[out], classes)
            answers[out] = _answers(scores)  # One fold's scores at a time: of millions they are GB.
    return answers


def _answers(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    answers: NDArray[np.int64] = np.nan_to_num(scores).argmax(axis=1).astype(np.int64)
    return answers


def _table(
    known: NDArray[np.generic],
    labels: NDArray[np.int64],
    asked: NDArray[np.generic],
    classes: int,
) -> NDArray[np.float64]:
    """Return class scores of named values: their share within each class, all classes equal."""
    names = int(max(known.max(initial=0), asked.max(initial=0))) + 1
    table = np.zeros((names, classes))
    np.add.at(table, (known.astype(np.intp), labels), 1)
    sizes = np.maximum(np.bincount(labels, minlength=classes), 1)
    scores: NDArray[np.float64] = (table / sizes)[asked.astype(np.intp)]
    return scores


def _tree(
    known: NDArray[np.generic],
    labels: NDArray[np.int64],
    asked: NDArray[np.generic],
    classes: int,
) -> NDArray[np.float64]:
    """Return class scores of numbers by a small decision tree, all classes equal."""
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - a second that most verbs save.

    tree = DecisionTreeClassifier(
        max_leaf_nodes=max(16, 2 * classes),
        min_samples_leaf=max(3, min(FEWEST, len(labels) // 200)),
        class_weight="balanced",
        random_state=0,
    ).fit(known, labels)
    scores = np.zeros((len(asked), classes))
    scores[:, tree.classes_] = tree.predict_proba(asked)
    return scores


def _edges(
    answers: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Youden's index of each class, and its lower bound by Wilson's limits."""
    edge, surely = np.full((2, classes), np.nan)
    confidence = 1 - 0.05 / classes  # Bonferroni: the largest of many is looked at.
    for label in range(classes):
        own = labels == label
        n, others = int(own.sum()), int((~own).sum())
        if n < FEWEST or others < FEWEST:
            continue
        hits, alarms = int((answers[own] == label).sum()), int((answers[~own] == label).sum())
        low, _ = wilson_bounds(hits, n, confidence)
        _, high = wilson_bounds(alarms, others, confidence)
        edge[label] = hits / n - alarms / others
        surely[label] = edge[label] - np.hypot(hits / n - low, high - alarms / others)
    return edge, surely


def balanced_accuracy(told: Told, classes: int) -> Estimate:
    """Return the mean recall over the classes, with its bootstrap interval."""
    return bootstrap(
        lambda rows: _mean_recall(told.answers[rows], told.labels[rows], classes),
        len(told.labels),
        draws=DRAWS,
    )


def chance(told: Told, classes: int) -> float:
    """Return the 95th percentile of the balanced accuracy when the labels are shuffled."""
    random = np.random.default_rng(0)
    shuffled = [
        _mean_recall(told.answers, random.permutation(told.labels), classes) for _ in range(DRAWS)
    ]
    return float(np.quantile(shuffled, 0.95))


def _mean_recall(answers: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    sizes = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[answers == labels], minlength=classes)
    return float((right[sizes > 0] / sizes[sizes > 0]).mean())
