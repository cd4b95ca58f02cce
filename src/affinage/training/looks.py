"""Looks at a model while it trains: curves, and the best weights so far."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from affinage.errors import RunError
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.records.signals import Point
from affinage.records.task import task_named
from affinage.training.averaging import WeightAverage
from affinage.training.checkpoint import save_model
from affinage.training.processes import Processes, agreed
from affinage.training.progress import Progress
from affinage.training.stopping import Scores, judged_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Functions that a training calls; it knows nothing of what they do.

    With several processes, `evaluate` and `evaluate_train` are called in every one, so that they may
    share the images (`processes.in_shares`); what rank 0 returns counts. The others are called in rank 0.

    Attributes:
        evaluate: Scores on validation; None where there is nothing to choose by.
        evaluate_train: Scores in evaluation mode on a fixed sample of the training images.
        observe: Takes a point of a curve.
        progress: Takes (done, total) steps.
        out_of_time: True when the training must stop at once.
        say: Takes a sentence for the person who watches.
    """

    evaluate: Callable[[Classifier], Scores] | None
    evaluate_train: Callable[[Classifier], Scores] | None
    observe: Callable[[Point], None]
    progress: Callable[[int, int], None]
    out_of_time: Callable[[], bool]
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Measures a model between two steps, and keeps it where validation is better than ever.

    Attributes:
        model: What is measured.
        average: Its moving average, which is measured in its place where there is one.
        observed: Who watches.
        recipe: Tells what is judged.
        best: File of the best weights.
        phase: Name of the curves.
        processes: That train it together.
    """

    model: Classifier
    average: WeightAverage | None
    observed: Observed
    recipe: Recipe
    best: Path
    phase: str
    processes: Processes

    def running_means(self, state: Progress, *, epoch: float, rate: float) -> None:
        """Draw the means since the last look, in training mode, and the learning rate."""
        hits = task_named(self.recipe.task).hits
        for series, value in (("loss", state.loss_sum), (hits, state.hits)):
            self._observe(series, "train (running)", epoch, value / state.seen)
        self._observe("learning_rate", "", epoch, rate)
        state.loss_sum, state.hits, state.seen = 0.0, 0.0, 0

    def look(self, state: Progress, *, epoch: float) -> None:
        """Measure in evaluation mode, and keep the weights where validation is better than ever.

        Raises:
            RunError: If not even the untrained model gives numbers.
        """
        with self._judged_weights():
            self._scored(self.observed.evaluate_train, "train (evaluation mode)", epoch)
            scores = self._scored(self.observed.evaluate, "validation", epoch)
            if scores is None or _lost(scores, state):
                return
            value = judged_value(scores, self.recipe.finetune)
            state.history.append((state.step, value))
            if self.recipe.schedule.name == "plateau":
                state.plateau.look(self.recipe.schedule, value, epoch=epoch)
            if state.best is not None and not value < state.best:
                state.flat += 1
                return
            state.best, state.best_step, state.flat = value, state.step, 0
            if self.processes.first:
                save_model(self.best, self.model, step=state.step)

    def _scored(
        self, evaluate: Callable[[Classifier], Scores] | None, on: str, epoch: float
    ) -> Scores | None:
        if evaluate is None:
            return None
        scores = agreed(evaluate(self.model), self.processes)
        for series, value in scores.values.items():
            self._observe(series, on, epoch, value)
        return scores

    @contextlib.contextmanager
    def _judged_weights(self) -> Iterator[None]:
        with self.average.inside(self.model) if self.average else contextlib.nullcontext():
            yield

    def _observe(self, series: str, on: str, epoch: float, value: float) -> None:
        if self.processes.first:
            self.observed.observe(
                Point(stage=self.phase, series=series, on=on, epoch=epoch, value=value)
            )


def _lost(scores: Scores, state: Progress) -> bool:
    """Return, and note, whether the model gives no numbers any more."""
    if math.isfinite(scores.judged):
        return False
    if state.step == 0:
        raise RunError(
            "Before the first step the model's outputs on validation are no numbers.",
            remedy="Look for a log of 0 or a division by 0 in a network or loss of your own, and for weights "
            "that are no numbers.",
        )
    state.lost_at = state.step
    return True
