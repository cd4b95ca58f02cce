"""The stage `finetune`: a stacked model is trained, watched, stopped in time, and can go on later."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affinage.errors import RunError
from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.recipe import Recipe
from affinage.training.averaging import WeightAverage
from affinage.training.checkpoint import load_model, load_training, save_training
from affinage.training.feeding import Change, Kept, Targets, whole_targets
from affinage.training.frozen_outputs import Looks
from affinage.training.looks import Observed, Watch
from affinage.training.loop import Step, scheduled, training_steps
from affinage.training.losses import Objective, sampling_weights
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan
from affinage.training.precision import make_scaler, precision_of
from affinage.training.processes import ALONE, Processes, agreed, same_start, wait
from affinage.training.progress import COMPLETE, Progress, Sitting
from affinage.training.resizing import check_sizes
from affinage.training.schedule import factor_of
from affinage.training.statistics import recompute_statistics
from affinage.training.stopping import (
    look_is_due,
    out_of_minutes,
    out_of_patience,
)

__all__ = ["Finetuned", "Observed", "finetune"]

SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """How a training ended; the model given to it holds the best weights.

    Attributes:
        steps: Steps taken.
        best_step: Step of the weights that were kept.
        stopped: Why it ended before its plan; empty where it did not.
        seconds: Time in training, over all sittings.
        lost_at: Step at which the loss was no number any more; None where it always was one.
        measured_layers: BatchNorm layers whose statistics were measured anew at the end.
        cuts: (epoch, factor from there on) of each cut of the schedule `plateau`.
        frozen_outputs: Whether the output of frozen layers was kept, or why it was not, as a sentence; empty
            where nothing is frozen.
    """

    steps: int
    best_step: int
    stopped: str
    seconds: float
    lost_at: int | None = None
    measured_layers: int = 0
    cuts: tuple[tuple[float, float], ...] = ()
    frozen_outputs: str = ""


def finetune(
    model: Classifier,
    items: Sequence[Item],
    targets: Targets,
    *,
    objective: Objective,
    recipe: Recipe,
    plan: Plan,
    observed: Observed,
    folder: Path,
    device: torch.device,
    threads: int,
    phase: str = "finetune",
    processes: Processes = ALONE,
    cuts: Sequence[tuple[float, float]] = (),
    transform: Change | None = None,
    decoded: Path | None = None,
    looks: Looks | None = None,
) -> Finetuned:
    """Train the model in place and leave the best weights in it.

    With `observed.evaluate`, the best weights are those of the look with the best validation score
    (`finetune.stop_on`), and `finetune.patience` looks without a better one end the training; without,
    the last ones are. With `finetune.ema` the moving average of the weights is judged and kept.
    Checkpoints go to `folder` at every look and every 30 seconds; where one lies there already, the
    training goes on from it.

    Where the loss is no number any more the training ends: with `observed.evaluate` the best weights before
    that are left in the model, without there are none worth having.

    Args:
        model: On `device`.
        items: Training images.
        targets: Of each, as the objective takes them; or a function from a size to these.
        objective: What is made small.
        recipe: Settings, with nothing left at `auto`.
        plan: How many steps.
        observed: Who watches.
        folder: Of the checkpoints.
        device: Where to compute.
        threads: Threads that decode and augment ahead.
        phase: Name of the checkpoints and curves; distinguishes the random numbers of two trainings.
        processes: That share the images of each step.
        cuts: Of an earlier training's plateaus, for one that has no validation to find its own.
        transform: A change of the user's own to training images, before any augmentation.
        decoded: Folder where decoded images are kept between epochs; None: nowhere.
        looks: Who looks at layers in some of the steps; None: nobody.

    Raises:
        RunError: If the loss of the very first step is not a number, or a checkpoint is damaged.
        RecipeError: If a setting is still at `auto`, or names a score that is not there.
        ModelError: If the model cannot compute at one of `finetune.sizes`.
    """
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    set_trainable(model, groups)
    check_sizes(model, recipe, device)
    training = _Training(
        model, items, targets, objective=objective, recipe=recipe, plan=plan, observed=observed,
        files=_Files(folder / f"{phase}.safetensors", folder / f"{phase}-best.safetensors"),
        device=device, threads=threads, phase=phase, processes=processes, cuts=cuts,
        transform=transform, decoded=decoded, looks=looks,
    )  # fmt: skip
    training.restore()
    if not training.state.stopped:
        training.run()
    set_trainable(model, groups)
    return training.end()


@dataclass(frozen=True, slots=True)
class _Files:
    last: Path
    best: Path


class _Training:
    """One training at work: what it moves, where it stands, who watches it."""

    def __init__(
        self,
        model: Classifier,
        items: Sequence[Item],
        targets: Targets,
        *,
        objective: Objective,
        recipe: Recipe,
        plan: Plan,
        observed: Observed,
        files: _Files,
        device: torch.device,
        threads: int,
        phase: str,
        processes: Processes,
        cuts: Sequence[tuple[float, float]],
        transform: Change | None,
        decoded: Path | None,
        looks: Looks | None,
    ) -> None:
        self._model, self._items, self._targets = model, items, targets
        self._objective, self._recipe, self._plan = objective, recipe, plan
        self._observed, self._files, self._phase = observed, files, phase
        self._device, self._threads, self._processes = device, threads, processes
        self._cuts, self._transform = tuple(cuts), transform
        self._kept = None if decoded is None else Kept(folder=decoded, say=observed.say)
        self._size = -(-len(items) // plan.steps_per_epoch)
        self._scaler = make_scaler(device, precision_of(recipe.compute))
        same_start(model, processes)
        decay = recipe.finetune.ema
        self._average = WeightAverage(model, decay) if decay else None
        self._optimizer = build_optimizer(
            model,
            layer_groups(model, unfreeze=recipe.finetune.unfreeze),
            recipe.optimizer,
            layer_decay=recipe.finetune.layer_decay,
        )
        self._watch = Watch(
            model=model, average=self._average, observed=observed, recipe=recipe, best=files.best,
            phase=phase, processes=processes,
        )  # fmt: skip
        self.state = Progress()
        self._sitting = Sitting(0.0)
        self._looks = looks or Looks()

    def restore(self) -> None:
        """Go on where the last checkpoint stands; else look at validation before the first step."""
        if self._files.last.exists():
            average = self._average.tensors if self._average else None
            facts = load_training(self._files.last, self._model, self._optimizer, average=average)
            self.state = Progress.of(facts["progress"])
            self._scaler.load_state_dict(facts["scaler"])
            self._sitting = Sitting(self.state.seconds)
            return
        wait(self._processes)  # Nobody writes before all have looked.
        if self._processes.first:
            with contextlib.suppress(FileNotFoundError):
                self._files.best.unlink()  # Of a training that died before its first checkpoint.
        self._watch.look(self.state, epoch=0.0)

    def run(self) -> None:
        """Take the steps that are left, looking, saving and stopping between them."""
        with contextlib.closing(self._steps()) as steps:
            for step in steps:
                if self._count(step):
                    self._save()
                    return
                last = step.number == self._plan.steps
                due = look_is_due(
                    self._recipe.finetune,
                    step=step.number, size=self._size, per_epoch=self._plan.steps_per_epoch,
                )  # fmt: skip
                limit = agreed(self._limit(), self._processes)
                if due or last or limit:
                    epoch = step.number / self._plan.steps_per_epoch
                    self._watch.running_means(self.state, epoch=epoch, rate=step.learning_rate)
                    self._watch.look(self.state, epoch=epoch)
                    patience = out_of_patience(self._recipe.finetune, self.state.flat)
                    self.state.stopped = self._gone() or patience or ("" if last else limit)
                    self._save()
                elif self._processes.first and self._sitting.save_is_due(
                    SECONDS_BETWEEN_CHECKPOINTS
                ):
                    self._save()
                if self.state.stopped:
                    return
        self.state.stopped = COMPLETE
        self._save()

    def end(self) -> Finetuned:
        """Leave the best weights in the model, and say how it went."""
        wait(self._processes)  # Until rank 0 has written them.
        if self._files.best.exists():
            load_model(self._files.best, self._model)
        elif self._average is not None:
            self._average.give(self._model)
        measured = 0
        if self._recipe.finetune.batchnorm == "recompute" and self.state.step:
            measured = recompute_statistics(
                self._model, self._items, seed=self._recipe.seed, batch_size=self._size,
                device=self._device, threads=self._threads,
            )  # fmt: skip
        state = self.state
        return Finetuned(
            steps=state.step,
            best_step=state.step if self._observed.evaluate is None else state.best_step,
            stopped=state.stopped if state.stopped != COMPLETE else "",
            seconds=state.seconds,
            lost_at=state.lost_at,
            measured_layers=measured,
            cuts=tuple(state.plateau.cuts),
            frozen_outputs=state.frozen_outputs,
        )

    def _steps(self) -> Any:
        rate = scheduled(self._recipe, self._plan)
        table = whole_targets(self._targets, self._model.preprocessing)
        return training_steps(
            self._model, self._optimizer, self._items, self._targets,
            objective=self._objective, recipe=self._recipe, plan=self._plan, device=self._device,
            threads=self._threads, start=self.state.step, phase=self._phase,
            rate=lambda step: rate(step) * self._cut(step),
            weights=sampling_weights(self._recipe, table),
            scaler=self._scaler, processes=self._processes, transform=self._transform,
            kept=self._kept, looks=replace(self._looks, told=self._told),
        )  # fmt: skip

    def _told(self, sentence: str) -> None:
        self.state.frozen_outputs = sentence
        if self._processes.first:
            self._observed.say(sentence)

    def _cut(self, step: int) -> float:
        """Return what plateaus have left of the rate, this training's or those of an earlier one."""
        earlier = factor_of(self._cuts, step / self._plan.steps_per_epoch)
        return earlier * self.state.plateau.factor

    def _count(self, step: Step) -> str:
        """Enter a step into the sums, and let the average follow; return why it cannot go on, if so.

        Raises:
            RunError: If not even the loss of the first step is a number: no rate has moved anything yet.
        """
        loss = float(step.loss)
        if not np.isfinite(loss):
            return self._lost(loss, step.number)
        if self._average is not None:
            self._average.follow(self._model, step.number)
        self.state.step = step.number
        self.state.loss_sum += loss * step.images
        self.state.hits += float(step.hits)
        self.state.seen += step.images
        if self._processes.first:
            self._observed.progress(step.number, self._plan.steps)
        return ""

    def _gone(self) -> str:
        """Return that the last look saw no numbers, or an empty text."""
        lost = self.state.lost_at is not None
        return f"its outputs were no numbers after step {self.state.step}" if lost else ""

    def _lost(self, loss: float, number: int) -> str:
        if number == 1:
            raise RunError(
                f"The loss became {loss} at the first step, before anything was learnt.",
                remedy="Look for a log of 0 or a division by 0 in a loss or transform of your own, and for "
                "weights that are no numbers; with compute.precision=fp16, try fp32.",
            )
        self.state.step, self.state.lost_at = number, number
        self.state.stopped = f"the loss became {loss} at step {number} of {self._plan.steps}"
        return self.state.stopped

    def _limit(self) -> str:
        """Return which limit of time has been reached, or an empty text."""
        minutes = out_of_minutes(self._recipe.finetune, self._sitting.seconds())
        return minutes or ("the budget's safety stop" if self._observed.out_of_time() else "")

    def _save(self) -> None:
        self.state.seconds = self._sitting.seconds()
        if self._processes.first:
            average = self._average.tensors if self._average else None
            save_training(
                self._files.last, self._model, self._optimizer, average=average,
                progress=self.state.facts(), scaler=self._scaler.state_dict(),
            )  # fmt: skip
        self._sitting.saved()
