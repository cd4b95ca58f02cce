"""The task `count` at work: how many objects of each class an image shows."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.evaluation.count import evaluate_counts, without_whole_numbers
from affinage.evaluation.count_intervals import count_intervals, fit_margins
from affinage.heads.linear import LinearHead
from affinage.records.count_evaluation import CountEvaluation
from affinage.records.pairings import resolve
from affinage.records.prediction import Prediction
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.records.task import COUNT, Task
from affinage.training.objective_head import hits, plain_losses, predicted
from affinage.training.stopping import Scores
from affinage.workflows.by_objective import choose_by_loss, fit_by_objective, refit_by_objective
from affinage.workflows.work import FeatureHead, FittedHead, Learnt, Lesson, Measured, Outputs


class Counting:
    """How counting models are fitted, judged and asked.

    Args:
        recipe: Settings.
        classes: Class names.
        targets: Counts of the training part, shape (n, K).
        lesson: What is learnt.
    """

    def __init__(
        self,
        recipe: Recipe,
        classes: tuple[str, ...],
        targets: NDArray[Any],
        lesson: Lesson,
    ) -> None:
        self._recipe, self._classes, self.lesson = recipe, classes, lesson
        self._largest = tuple(float(value) for value in targets.max(axis=0, initial=0))

    @property
    def task(self) -> Task:
        """How many objects of each class."""
        return COUNT

    def fit(self, learnt: Learnt) -> FittedHead:
        """Choose the L2 penalty on these images and fit the head to its optimum."""
        return fit_by_objective(self._recipe, self.lesson.objective, learnt)

    def refit(self, learnt: Learnt, head: FeatureHead) -> LinearHead:
        """Fit the chosen head again."""
        return refit_by_objective(self.lesson.objective, learnt, head)

    def scores(self, outputs: Outputs, targets: NDArray[Any]) -> Scores:
        """Return the loss, the mean absolute error, and the share of exact counts."""
        loss = float(plain_losses(self.lesson.objective, outputs, targets).mean())
        error = np.abs(self._expected(outputs) - self._truth(targets)).mean()
        return Scores(
            judged=loss,
            values={
                "loss": loss,
                "mae": float(error),
                COUNT.hits: hits(self.lesson.objective, outputs, targets),
            },
            rising=frozenset({COUNT.hits}),
        )

    def choose(self, head: Outputs, finetuned: Outputs, targets: NDArray[Any]) -> tuple[bool, str]:
        """Return whether the fine-tuned model's loss is the lower one."""
        name = resolve(self._recipe.chosen_loss()).loss.replace("_", " ")
        return choose_by_loss(self.lesson.objective, head, finetuned, targets, what=f"{name} loss")

    def calibrate(self, outputs: Outputs, targets: NDArray[Any]) -> Calibration:
        """Return the margins of the counts' intervals, which validation asks for."""
        if self._recipe.count.target != "count":
            return Calibration(largest=self._largest)
        coverage = self._recipe.count.interval
        truth = self._truth(targets)
        margins = fit_margins(self._expected(outputs), truth, coverage=coverage)
        return Calibration(largest=self._largest, margins=margins, coverage=coverage)

    def score(
        self, measured: Measured, outputs: Outputs, calibration: Calibration
    ) -> CountEvaluation:
        """Return errors of the counts and their companions, beside the baselines."""
        found = evaluate_counts(
            part=measured.name,
            expected=self._expected(outputs),
            counts=self._truth(measured.targets),
            images=measured.images,
            paths=measured.paths,
            classes=measured.classes,
            train_counts=self._truth(measured.train_targets),
            rounding=self._recipe.count.rounding,
            memory_test=measured.memory_test,
            margins=calibration.margins,
            coverage=calibration.coverage,
        )
        return found if self._recipe.count.target == "count" else without_whole_numbers(found)

    def table(self, measured: Measured, outputs: Outputs, calibration: Calibration) -> pl.DataFrame:
        """Return counts: image, part, and for each class `count:` (true), `expected:`, `low:`, `high:`."""
        expected, truth = self._expected(outputs), self._truth(measured.targets)
        columns: dict[str, object] = {
            "image": list(measured.images),
            "part": [measured.name] * len(measured.images),
        }
        low, high = self._ends(expected, calibration)
        for index, name in enumerate(measured.classes):
            columns[f"count:{name}"] = truth[:, index]
            columns[f"expected:{name}"] = expected[:, index]
            if low is not None and high is not None:
                columns[f"low:{name}"], columns[f"high:{name}"] = low[:, index], high[:, index]
        return pl.DataFrame(columns)

    def answer(
        self, path: str, outputs: Outputs, calibration: Calibration, notes: tuple[str, ...]
    ) -> Prediction:
        """Return the expected counts and their intervals."""
        expected = self._expected(outputs[None])
        low, high = self._ends(expected, calibration)
        ranges: dict[str, tuple[int, int]] = {}
        if low is not None and high is not None:
            pairs = zip(low[0].tolist(), high[0].tolist(), strict=True)
            ranges = dict(zip(self._classes, pairs, strict=True))
        return Prediction(
            path=path,
            label=None,
            confidence=None,
            probabilities={},
            counts=dict(zip(self._classes, expected[0].tolist(), strict=True)),
            ranges=ranges,
            notes=notes,
        )

    def _expected(self, outputs: Outputs) -> NDArray[np.float64]:
        return np.maximum(predicted(self.lesson.objective, outputs), 0)

    def _truth(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        """Return what was to be predicted: the counts, or each class's share of an image's objects."""
        counts = np.asarray(targets, dtype=np.float64)
        if self._recipe.count.target == "count":
            return counts
        shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
        return shares

    def _ends(
        self, expected: NDArray[np.float64], calibration: Calibration
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        if not calibration.margins or self._recipe.count.target != "count":
            return None, None
        return count_intervals(expected, calibration.margins)
