"""The task `multilabel` at work: any number of labels per image."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.evaluation.multilabel import choose_label_thresholds, evaluate_multilabel
from affinage.heads.linear import LinearHead
from affinage.records.multilabel_evaluation import MultilabelEvaluation
from affinage.records.prediction import Prediction
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.records.task import MULTILABEL, Task
from affinage.training.objective_head import hits, plain_losses, predicted
from affinage.training.stopping import Scores
from affinage.workflows.by_objective import choose_by_loss, fit_by_objective, refit_by_objective
from affinage.workflows.work import FeatureHead, FittedHead, Learnt, Lesson, Measured, Outputs


class Tagging:
    """How models that give several labels are fitted, judged and asked.

    Args:
        recipe: Settings.
        classes: Labels.
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
        """Any number of labels per image."""
        return MULTILABEL

    def fit(self, learnt: Learnt) -> FittedHead:
        """Choose the L2 penalty on these images and fit the head to its optimum."""
        return fit_by_objective(self._recipe, self.lesson.objective, learnt)

    def refit(self, learnt: Learnt, head: FeatureHead) -> LinearHead:
        """Fit the chosen head again."""
        return refit_by_objective(self.lesson.objective, learnt, head)

    def scores(self, outputs: Outputs, targets: NDArray[Any]) -> Scores:
        """Return the loss, and the share of right answers."""
        loss = float(plain_losses(self.lesson.objective, outputs, targets).mean())
        right = hits(self.lesson.objective, outputs, targets)
        return Scores(
            judged=loss,
            values={"loss": loss, MULTILABEL.hits: right},
            rising=frozenset({MULTILABEL.hits}),
        )

    def choose(self, head: Outputs, finetuned: Outputs, targets: NDArray[Any]) -> tuple[bool, str]:
        """Return whether the fine-tuned model's loss is the lower one."""
        return choose_by_loss(
            self.lesson.objective, head, finetuned, targets, what="log loss per label"
        )

    def calibrate(self, outputs: Outputs, targets: NDArray[Any]) -> Calibration:
        """Return the threshold of each label that gives the best F1 on validation."""
        return Calibration(thresholds=choose_label_thresholds(self._shares(outputs), targets))

    def score(
        self, measured: Measured, outputs: Outputs, calibration: Calibration
    ) -> MultilabelEvaluation:
        """Return F1 and its companions, beside the baselines."""
        return evaluate_multilabel(
            part=measured.name,
            probabilities=self._shares(outputs),
            labels=measured.targets,
            images=measured.images,
            paths=measured.paths,
            classes=measured.classes,
            train_labels=measured.train_targets,
            thresholds=calibration.thresholds,
            memory_test=measured.memory_test,
        )

    def table(self, measured: Measured, outputs: Outputs, calibration: Calibration) -> pl.DataFrame:
        """Return labels: image, part, labels, predicted (both `a; b`), and `p:LABEL` for each label."""
        shares = self._shares(outputs)
        given = shares >= self._cuts(calibration)
        columns: dict[str, object] = {
            "image": list(measured.images),
            "part": [measured.name] * len(measured.images),
            "labels": ["; ".join(self._named(row > 0.5)) for row in measured.targets],
            "predicted": ["; ".join(self._named(row)) for row in given],
        }
        columns |= {f"p:{name}": shares[:, c] for c, name in enumerate(measured.classes)}
        return pl.DataFrame(columns)

    def answer(
        self, path: str, outputs: Outputs, calibration: Calibration, notes: tuple[str, ...]
    ) -> Prediction:
        """Return the labels whose probability reaches their threshold."""
        row = self._shares(outputs[None])[0]
        return Prediction(
            path=path,
            label=None,
            confidence=None,
            probabilities=dict(zip(self._classes, row.tolist(), strict=True)),
            labels=self._named(row >= self._cuts(calibration)),
            notes=notes,
        )

    def _shares(self, outputs: Outputs) -> NDArray[np.float64]:
        return np.clip(predicted(self.lesson.objective, outputs), 0, 1)

    def _cuts(self, calibration: Calibration) -> NDArray[np.float64]:
        return np.asarray(calibration.thresholds or [0.5] * len(self._classes), dtype=np.float64)

    def _named(self, given: NDArray[Any]) -> tuple[str, ...]:
        return tuple(name for name, yes in zip(self._classes, given.tolist(), strict=True) if yes)
