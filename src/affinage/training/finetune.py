"""The stage `finetune`: a stacked model is trained, watched, stopped in time, and can go on later."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.errors import RunError
from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.recipe import Recipe
from affinage.records.signals import Point
from affinage.training.checkpoint import load_model, load_training, save_model, save_training
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan

SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model scores on some images, in evaluation mode.

    Attributes:
        loss: Mean cross-entropy, nats.
        accuracy: Share of right predictions.
        judged: What weights are kept by, the less the better: the loss at its best temperature, so
            that a model which is only too modest (label smoothing) or too sure is not the worse for it.
    """

    loss: float
    accuracy: float
    judged: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Functions that a training calls; it knows nothing of what they do.

    Attributes:
        evaluate: Scores on validation; None where there is nothing to choose by.
        evaluate_train: Scores in evaluation mode on a fixed sample of the training images.
        observe: Takes a point of a curve.
        progress: Takes (done, total) steps.
        out_of_time: True when the training must stop at once.
    """

    evaluate: Callable[[Classifier], Scores] | None
    evaluate_train: Callable[[Classifier], Scores] | None
    observe: Callable[[Point], None]
    progress: Callable[[int, int], None]
    out_of_time: Callable[[], bool]


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a training stands; saved with every checkpoint."""

    step: int = 0
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0
    best_loss: float | None = None
    best_step: int = 0
    flat_epochs: int = 0
    seconds: float = 0.0
    stopped: str = ""
    history: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """How a training ended; the model given to it holds the best weights.

    Attributes:
        steps: Steps taken.
        best_step: Step of the weights that were kept.
        stopped: Why it ended before its plan; empty where it did not.
        seconds: Time in training, over all sittings.
    """

    steps: int
    best_step: int
    stopped: str
    seconds: float


def finetune(
    model: Classifier,
    items: Sequence[Item],
    labels: NDArray[np.int64],
    *,
    recipe: Recipe,
    plan: Plan,
    observed: Observed,
    folder: Path,
    device: torch.device,
    threads: int,
    phase: str = "finetune",
) -> Finetuned:
    """Train the model in place and leave the best weights in it.

    With `observed.evaluate`, the best weights are those of the epoch with the lowest validation loss
    at its best temperature,
    and `finetune.patience` epochs without a better one end the training; without, the last ones are.
    Checkpoints go to `folder` after every epoch and every 30 seconds; where one lies there already,
    the training goes on from it.

    Raises:
        RunError: If the loss is not a number any more, or a checkpoint is damaged.
    """
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    set_trainable(model, groups)
    optimizer = build_optimizer(
        model, groups, recipe.optimizer, layer_decay=recipe.finetune.layer_decay
    )
    files = _Files(last=folder / f"{phase}.safetensors", best=folder / f"{phase}-best.safetensors")
    state = _restore(files, model, optimizer, observed, phase)
    sitting = _Sitting(state.seconds)
    if not state.stopped:
        _train(
            model, optimizer, items, labels, recipe, plan, observed, files, state, sitting,
            device=device, threads=threads, phase=phase,
        )  # fmt: skip
    if files.best.exists():
        load_model(files.best, model)
    return Finetuned(
        steps=state.step,
        best_step=state.step if observed.evaluate is None else state.best_step,
        stopped=state.stopped if state.stopped != _COMPLETE else "",
        seconds=state.seconds,
    )


_COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    last: Path
    best: Path


class _Sitting:
    """The clock of a training that may be interrupted."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = time.perf_counter()
        self._saved = self._start

    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._start

    def save_is_due(self) -> bool:
        return time.perf_counter() - self._saved > SECONDS_BETWEEN_CHECKPOINTS

    def saved(self) -> None:
        self._saved = time.perf_counter()


def _restore(
    files: _Files,
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    observed: Observed,
    phase: str,
) -> Progress:
    if files.last.exists():
        facts = load_training(files.last, model, optimizer)
        return Progress(**facts["progress"])
    state = Progress()
    with contextlib.suppress(FileNotFoundError):
        files.best.unlink()  # Of a training that died before its first checkpoint.
    _end_of_epoch(model, state, observed, files, epoch=0.0, phase=phase)
    return state


def _train(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    items: Sequence[Item],
    labels: NDArray[np.int64],
    recipe: Recipe,
    plan: Plan,
    observed: Observed,
    files: _Files,
    state: Progress,
    sitting: _Sitting,
    *,
    device: torch.device,
    threads: int,
    phase: str,
) -> None:
    def save() -> None:
        state.seconds = sitting.seconds()
        facts: dict[str, Any] = {"progress": _plain(state)}
        save_training(files.last, model, optimizer, **facts)
        sitting.saved()

    steps = training_steps(
        model, optimizer, items, labels,
        recipe=recipe, plan=plan, device=device, threads=threads, start=state.step, phase=phase,
    )  # fmt: skip
    with contextlib.closing(steps):
        for step in steps:
            loss = float(step.loss)
            if not np.isfinite(loss):
                raise RunError(
                    f"The loss became {loss} at step {step.number} of {plan.steps}.",
                    remedy=f"Lower the learning rate: --set optimizer.lr={recipe.optimizer.lr / 10:g}",
                )
            state.step = step.number
            state.loss_sum += loss * step.images
            state.right += int(step.right)
            state.seen += step.images
            observed.progress(step.number, plan.steps)
            epoch_ends = step.number % plan.steps_per_epoch == 0 or step.number == plan.steps
            out_of_time = observed.out_of_time()
            if epoch_ends or out_of_time:
                epoch = step.number / plan.steps_per_epoch
                _running_means(state, observed, epoch, step.learning_rate, phase)
                _end_of_epoch(model, state, observed, files, epoch=epoch, phase=phase)
                if state.flat_epochs >= recipe.finetune.patience:
                    state.stopped = f"{state.flat_epochs} epochs without a lower validation loss"
                elif step.number < plan.steps and out_of_time:
                    state.stopped = "the budget's safety stop"
                save()
            elif sitting.save_is_due():
                save()
            if state.stopped:
                return
    state.stopped = _COMPLETE
    save()


def _running_means(
    state: Progress, observed: Observed, epoch: float, rate: float, phase: str
) -> None:
    on = "train (running)"
    for series, value in (
        ("loss", state.loss_sum / state.seen),
        ("accuracy", state.right / state.seen),
    ):
        observed.observe(Point(stage=phase, series=series, on=on, epoch=epoch, value=value))
    observed.observe(Point(stage=phase, series="learning_rate", on="", epoch=epoch, value=rate))
    state.loss_sum, state.right, state.seen = 0.0, 0, 0


def _end_of_epoch(
    model: Classifier,
    state: Progress,
    observed: Observed,
    files: _Files,
    *,
    epoch: float,
    phase: str,
) -> None:
    """Measure in evaluation mode, and keep the weights where validation is better than ever."""
    for on, evaluate in (
        ("train (evaluation mode)", observed.evaluate_train),
        ("validation", observed.evaluate),
    ):
        if evaluate is None:
            continue
        scores = evaluate(model)
        for series, value in (("loss", scores.loss), ("accuracy", scores.accuracy)):
            observed.observe(Point(stage=phase, series=series, on=on, epoch=epoch, value=value))
        if on != "validation":
            continue
        state.history.append((state.step, scores.judged))
        if state.best_loss is None or scores.judged < state.best_loss:
            state.best_loss, state.best_step, state.flat_epochs = scores.judged, state.step, 0
            save_model(files.best, model, step=state.step)
        else:
            state.flat_epochs += 1


def _plain(state: Progress) -> dict[str, Any]:
    return {name: getattr(state, name) for name in Progress.__slots__}
