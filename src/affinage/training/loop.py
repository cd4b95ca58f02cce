"""The training loop, as a generator: its caller evaluates, saves or stops between two steps."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.models.freeze import Modes, layer_groups, set_trainable, thawed
from affinage.records.recipe import Recipe
from affinage.training.batch_mean import BatchMean, batch_mean
from affinage.training.feeding import Batch, Change, Feed, Kept, Targets, seed_of
from affinage.training.frozen_outputs import FrozenOutputs, Keeping, Looks, keep_frozen_outputs
from affinage.training.losses import Objective
from affinage.training.mixing import Mix, draw_mix, mix_images, mix_targets
from affinage.training.optimizer import highest_rate, set_learning_rate
from affinage.training.plan import Plan
from affinage.training.precision import autocast, make_scaler, precision_of
from affinage.training.processes import ALONE, Processes, sum_gradients
from affinage.training.schedule import schedule_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step showed, over all processes.

    Attributes:
        number: From 1 on.
        loss: Mean loss of its batch before the step, without smoothing and weights, in training
            mode; a tensor, since reading it at every step would wait for the device.
        hits: Sum of the objective's hits over the batch, in training mode.
        images: How many images it saw.
        learning_rate: Of the head.
    """

    number: int
    loss: Tensor
    hits: Tensor
    images: int
    learning_rate: float


Rate = Callable[[int], float]

Starts = Callable[[int], list[contextlib.AbstractContextManager[None]]]


def training_steps(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    items: Sequence[Item],
    targets: Targets,
    *,
    objective: Objective,
    recipe: Recipe,
    plan: Plan,
    device: torch.device,
    threads: int,
    start: int = 0,
    phase: str = "finetune",
    rate: Rate | None = None,
    weights: NDArray[np.float64] | None = None,
    scaler: torch.amp.GradScaler | None = None,
    processes: Processes = ALONE,
    transform: Change | None = None,
    kept: Kept | None = None,
    looks: Looks | None = None,
) -> Generator[Step, None, None]:
    """Train a model from step `start` on, to the plan's last step.

    Every random number comes from (seed, epoch, image, draw) or (seed, step), so a training that goes on
    from a checkpoint takes the very steps that it would have taken.

    Args:
        model: On `device`; what is trained in it has been chosen already.
        optimizer: Over its trained parameters, with a `scale` in each group.
        items: Training images.
        targets: Of each image, as the objective takes them; or a function from a size to these.
        objective: What is made small.
        recipe: Settings.
        plan: How many steps.
        device: Where to compute.
        threads: Threads that decode and augment ahead.
        start: Steps that were taken already.
        phase: Distinguishes the random numbers of two trainings of one run.
        rate: From the number of steps taken to the head's learning rate; None = the recipe's schedule.
        weights: How much more often than another each image is drawn, shape (n,); None: each once.
        scaler: Of fp16 gradients, where the caller keeps its state; None = a fresh one.
        processes: That share the images of each step.
        transform: A change of the user's own, before any augmentation.
        kept: Where decoded images are kept; None: nowhere.
        looks: Who looks at layers, where the output of frozen ones may be kept and not computed in every
            step (`keep_frozen_outputs`); None: it is always computed.
    """
    feed = Feed(
        items=items, targets=targets, weights=weights, preprocessing=model.preprocessing,
        recipe=recipe, plan=plan, threads=threads, phase=phase, processes=processes,
        transform=transform, kept=kept,
    )  # fmt: skip
    keeping = Keeping() if looks is None else keep_frozen_outputs(model, feed, device)
    if looks is not None and keeping.reason:
        looks.told(keeping.reason)
    work = _Work(
        model=model, optimizer=optimizer, objective=objective, recipe=recipe, device=device,
        precision=precision_of(recipe.compute), processes=processes, phase=phase,
        scaler=scaler or make_scaler(device, precision_of(recipe.compute)),
        trained=_trained(model, optimizer), mean=batch_mean(recipe, objective),
        feed=feed, frozen=keeping.outputs, looks=looks or Looks(),
    )  # fmt: skip
    rate_at = rate or scheduled(recipe, plan)
    modes = Modes(model, batchnorm=recipe.finetune.batchnorm)
    unread = keeping.outputs is not None
    for number, batch in enumerate(feed.batches(start, unread=unread), start=start):
        set_learning_rate(optimizer, rate_at(number))
        if recipe.finetune.gradual is not None:
            thaw(model, recipe, plan, number)
            modes = Modes(model, batchnorm=recipe.finetune.batchnorm)
        modes.restore()  # Here: the caller may have evaluated.
        torch.manual_seed(work.seed(number))  # Dropout and stochastic depth.
        optimizer.zero_grad(set_to_none=True)
        sums = work.gradients(batch, number)
        sums = sum_gradients(work.trained, sums, processes)
        work.step()
        yield Step(
            number=number + 1,
            loss=sums[0] / batch.whole,
            hits=sums[1],
            images=batch.whole,
            learning_rate=rate_at(number),
        )


def scheduled(recipe: Recipe, plan: Plan) -> Rate:
    """Return the learning rate of the head by the number of steps taken."""
    highest = highest_rate(recipe.optimizer)
    return lambda step: highest * schedule_factor(recipe.schedule, step, plan)


def thaw(model: Classifier, recipe: Recipe, plan: Plan, step: int) -> None:
    """Let gradients flow into the head and as many blocks as the epochs so far have unfrozen."""
    assert recipe.finetune.gradual is not None
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    blocks = int(step / plan.steps_per_epoch / recipe.finetune.gradual)
    set_trainable(model, thawed(groups, blocks))


def _trained(model: Classifier, optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return what the optimizer moves, in the model's order."""
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [parameter for parameter in model.parameters() if id(parameter) in moved]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What every step of a training needs."""

    model: Classifier
    optimizer: torch.optim.Optimizer
    objective: Objective
    mean: BatchMean
    recipe: Recipe
    device: torch.device
    precision: str
    scaler: torch.amp.GradScaler
    processes: Processes
    phase: str
    trained: list[nn.Parameter]
    feed: Feed
    frozen: FrozenOutputs | None
    looks: Looks

    def seed(self, number: int) -> int:
        """Return the seed of a step; no two processes drop out the same."""
        rank = (self.processes.rank,) if self.processes.rank else ()
        return seed_of(self.recipe.seed, self.phase, number, *rank)

    def gradients(self, batch: Batch, number: int) -> Tensor:
        """Leave the gradient of the mean loss in the parameters; return the sums of loss and hits."""
        sums = torch.zeros(2, device=self.device)
        mix = self._mix(batch, number)
        images, starts = self._shown(batch)
        wanted = torch.from_numpy(batch.targets).to(self.device, non_blocking=True)
        learnt = wanted
        if mix is not None:
            images = mix_images(images, mix)
            soft = mix_targets(batch.targets, mix, classes=self.objective.outputs)
            learnt = torch.from_numpy(soft).to(self.device, non_blocking=True)
        pieces = min(self.recipe.optimizer.accumulate, len(batch.images))
        if pieces == 0:
            return sums
        for image, own, target, start in zip(
            *(tensor.tensor_split(pieces) for tensor in (images, wanted, learnt)),
            starts(pieces),
            strict=True,
        ):
            with autocast(self.device, self.precision), start:
                outputs = self.model(image)
            outputs = outputs.float()
            loss = self.mean(outputs, target, batch.whole)
            torch.autograd.backward(self.scaler.scale(loss))
            with torch.no_grad():
                sums[0] += self.objective.plain(outputs, target).sum()
                sums[1] += self.objective.hit(outputs, own).sum()
        return sums

    def _shown(self, batch: Batch) -> tuple[Tensor, Starts]:
        """Return the images of a step, and where the model starts in each of so many pieces of it.

        Where the output of frozen layers is kept, images are read for those who look at layers only.
        """
        if self.frozen is None or batch.rows is None:
            images = torch.from_numpy(batch.images).to(self.device, non_blocking=True)
            return images, lambda pieces: [contextlib.nullcontext()] * pieces
        kept, looked = self.frozen.of(batch.rows, self.device), self.looks.due()
        black = torch.zeros((), dtype=torch.uint8, device=self.device).expand(batch.images.shape)
        images = self._read(batch) if looked else black
        charge = self.looks.charge if looked else None
        replaced = partial(self.frozen.replaced, self.model, charge=charge)
        return images, lambda pieces: [replaced(piece) for piece in kept.tensor_split(pieces)]

    def _read(self, batch: Batch) -> Tensor:
        assert batch.rows is not None
        start = time.perf_counter()
        images = torch.from_numpy(self.feed.shown(batch.rows, batch.rung)).to(self.device)
        self.looks.charge(time.perf_counter() - start)
        return images

    def step(self) -> None:
        """Move the weights along the gradient, clipped."""
        if self.recipe.optimizer.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained, self.recipe.optimizer.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _mix(self, batch: Batch, number: int) -> Mix | None:
        count, height, width = batch.images.shape[:3]
        random = np.random.default_rng(
            seed_of(self.recipe.seed, self.phase, "mix", number, self.processes.rank)
        )
        return draw_mix(batch.rung.augment, random, images=count, height=height, width=width)
