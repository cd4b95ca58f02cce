"""The task `classify` at work: one label per image."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from affinage.evaluation.classify import choose_threshold, evaluate_classification
from affinage.evaluation.comparison import calibrated_loss, choose_between
from affinage.heads.linear import LinearHead, choose_penalty, fit_linear
from affinage.heads.nearest import NearestHead, fit_nearest
from affinage.heads.rotation import Rotated, rotate_evenly
from affinage.heads.svm import choose_cost, fit_svm
from affinage.metrics.calibration import fit_temperature
from affinage.metrics.classification import softmax
from affinage.records.evaluation import Evaluation
from affinage.records.prediction import Prediction
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.records.signals import Point
from affinage.records.task import CLASSIFY, Task
from affinage.training.stopping import Scores
from affinage.workflows.by_objective import cross_validated
from affinage.workflows.work import (
    FeatureHead,
    FittedHead,
    Learnt,
    Lesson,
    Measured,
    Outputs,
    folded,
)


class Classifying:
    """How classifiers are fitted, judged and asked.

    Args:
        recipe: Settings.
        classes: Class names.
        lesson: What is learnt.
    """

    def __init__(
        self,
        recipe: Recipe,
        classes: tuple[str, ...],
        lesson: Lesson,
    ) -> None:
        self._recipe, self._classes, self.lesson = recipe, classes, lesson

    @property
    def task(self) -> Task:
        """One label per image."""
        return CLASSIFY

    def fit(self, learnt: Learnt) -> FittedHead:
        """Fit the head that the recipe names, its penalty or cost chosen on these very images."""
        match self._recipe.features.head:
            case "nearest":
                return FittedHead(head=_nearest(learnt), start=None, points=())
            case "svm":
                return _support_vectors(self._recipe, learnt)
            case "logistic":
                return _logistic(self._recipe, learnt)

    def refit(self, learnt: Learnt, head: FeatureHead) -> FeatureHead:
        """Fit the chosen head again."""
        classes = len(learnt.classes)
        if isinstance(head, NearestHead):
            return _nearest(learnt)
        if self._recipe.features.head == "svm":
            seed, cost = self._recipe.seed, 1.0 / head.penalty
            return fit_svm(learnt.features, learnt.targets, classes, cost=cost, seed=seed)
        return fit_linear(learnt.features, learnt.targets, classes, penalty=head.penalty)

    def scores(self, outputs: Outputs, targets: NDArray[Any]) -> Scores:
        """Return cross-entropy, accuracy, and the loss at the best temperature."""
        tensor, wanted = torch.from_numpy(outputs), torch.from_numpy(targets)
        loss = torch.nn.functional.cross_entropy(tensor, wanted)
        accuracy = (tensor.argmax(1) == wanted).float().mean()
        return Scores(
            judged=calibrated_loss(outputs, targets),
            values={"loss": float(loss), "accuracy": float(accuracy)},
            rising=frozenset({"accuracy"}),
        )

    def choose(self, head: Outputs, finetuned: Outputs, targets: NDArray[Any]) -> tuple[bool, str]:
        """Return whether the fine-tuned model's log loss at its best temperature is the lower one."""
        choice = choose_between(head, finetuned, targets)
        return choice.winner == "finetuned", choice.reason

    def calibrate(self, outputs: Outputs, targets: NDArray[Any]) -> Calibration:
        """Return the temperature, and for two classes the threshold, that validation asks for."""
        table = np.asarray(outputs, dtype=np.float64)
        calibration = Calibration(temperature=fit_temperature(table, targets))
        recipe, classes = self._recipe, self._classes
        positive = positive_class(recipe, classes)
        if positive is None:
            return calibration
        index = classes.index(positive)
        value, rule = choose_threshold(
            softmax(table / calibration.temperature)[:, index],
            targets == index,
            sensitivity=recipe.sensitivity,
            miss_cost=recipe.miss_cost,
        )
        return dataclasses.replace(calibration, positive=positive, threshold=value, rule=rule)

    def score(self, measured: Measured, outputs: Outputs, calibration: Calibration) -> Evaluation:
        """Return accuracy and its companions, beside the baselines."""
        threshold = None
        if calibration.threshold is not None:
            threshold = (calibration.positive, calibration.threshold, calibration.rule)
        return evaluate_classification(
            part=measured.name,
            probabilities=_probabilities(outputs, calibration),
            labels=measured.targets,
            images=measured.images,
            paths=measured.paths,
            classes=measured.classes,
            train_labels=measured.train_targets,
            nearest=measured.nearest,
            memory_test=measured.memory_test,
            threshold=threshold,
        )

    def table(self, measured: Measured, outputs: Outputs, calibration: Calibration) -> pl.DataFrame:
        """Return probabilities: image, part, label, predicted, one column `p:CLASS` per class."""
        table, classes = _probabilities(outputs, calibration), measured.classes
        columns: dict[str, object] = {
            "image": list(measured.images),
            "part": [measured.name] * len(measured.images),
            "label": [classes[index] for index in measured.targets],
            "predicted": [classes[index] for index in table.argmax(axis=1)],
        }
        columns |= {f"p:{name}": table[:, index] for index, name in enumerate(classes)}
        return pl.DataFrame(columns)

    def answer(
        self, path: str, outputs: Outputs, calibration: Calibration, notes: tuple[str, ...]
    ) -> Prediction:
        """Return the most probable class, or what the threshold on one of two says."""
        row, classes = _probabilities(outputs[None], calibration)[0], self._classes
        index = int(row.argmax())
        if calibration.threshold is not None:
            positive = classes.index(calibration.positive)
            index = positive if row[positive] >= calibration.threshold else 1 - positive
        return Prediction(
            path=path,
            label=classes[index],
            confidence=float(row[index]),
            probabilities={name: float(p) for name, p in zip(classes, row, strict=True)},
            notes=notes,
        )


def positive_class(recipe: Recipe, classes: tuple[str, ...]) -> str | None:
    """Return the class that a threshold is on; None where there are not two classes."""
    if len(classes) != 2:
        return None
    return recipe.positive or classes[1]


def _probabilities(outputs: Outputs, calibration: Calibration) -> NDArray[np.float64]:
    return softmax(np.asarray(outputs, dtype=np.float64) / calibration.temperature)


def _logistic(recipe: Recipe, learnt: Learnt) -> FittedHead:
    classes = len(learnt.classes)
    rotated = rotate_evenly(learnt.features)
    choice = choose_penalty(
        learnt.features,
        learnt.targets,
        classes,
        penalties=recipe.features.penalties,
        rotated=rotated,
        threads=recipe.compute.threads,
        **folded(recipe, learnt),
    )
    head = fit_linear(
        learnt.features, learnt.targets, classes, penalty=choice.penalty, rotated=rotated
    )
    start = _start(recipe, learnt, head, rotated)
    return FittedHead(head=head, start=start, points=cross_validated(choice, CLASSIFY))


def _support_vectors(recipe: Recipe, learnt: Learnt) -> FittedHead:
    classes = len(learnt.classes)
    choice = choose_cost(
        learnt.features,
        learnt.targets,
        classes,
        costs=recipe.features.costs,
        **folded(recipe, learnt),
    )
    head = fit_svm(learnt.features, learnt.targets, classes, cost=choice.cost, seed=recipe.seed)
    points = tuple(
        Point(stage="features", series=CLASSIFY.hits, on="cross-validation on train",
              epoch=float(rank), value=hits)
        for rank, (_, hits) in enumerate(choice.hits)
    )  # fmt: skip
    return FittedHead(head=head, start=None, points=points)


def _nearest(learnt: Learnt) -> NearestHead:
    return fit_nearest(learnt.features, learnt.targets, len(learnt.classes))


def _start(recipe: Recipe, learnt: Learnt, head: LinearHead, rotated: Rotated) -> LinearHead:
    """Return the head that fine-tuning starts from.

    A head with a weak penalty has separated the training images by long weights: its loss there is
    almost nothing, and whatever moves the features is multiplied by them. Measured: from such a head
    the validation loss of flowers12 tripled in three epochs; from one with a penalty of 0.1 it fell
    to a quarter (docs/log.md).
    """
    penalty = recipe.finetune.start_penalty
    if "finetune" not in recipe.stages or head.penalty >= penalty:
        return head
    classes = len(learnt.classes)
    return fit_linear(
        learnt.features, learnt.targets, classes, penalty=penalty, start=head, rotated=rotated
    )
