"""The training loop, as a generator: its caller evaluates, saves or stops between two steps."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affinage.imaging.batches import Item, augmented_batches
from affinage.models.classifier import Classifier
from affinage.models.freeze import set_modes
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.training.optimizer import schedule_factor, set_learning_rate
from affinage.training.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step showed.

    Attributes:
        number: From 1 on.
        loss: Mean cross-entropy of its batch before the step, without label smoothing, in training
            mode; a tensor, since reading it at every step would wait for the device.
        right: How many images of the batch were predicted right, in training mode.
        images: How many images it saw.
        learning_rate: Of the head.
    """

    number: int
    loss: Tensor
    right: Tensor
    images: int
    learning_rate: float


def training_steps(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    items: Sequence[Item],
    labels: NDArray[np.int64],
    *,
    recipe: Recipe,
    plan: Plan,
    device: torch.device,
    threads: int,
    start: int = 0,
    phase: str = "finetune",
) -> Generator[Step, None, None]:
    """Train a model from step `start` on, to the plan's last step.

    Every random number comes from (seed, epoch, image) or (seed, step), so a training that goes on
    from a checkpoint takes the very steps that it would have taken.

    Args:
        model: On `device`; what is trained in it has been chosen already.
        optimizer: Over its trained parameters, with a `scale` in each group.
        items: Training images.
        labels: Class index of each, shape (n,).
        recipe: Settings.
        plan: How many steps.
        device: Where to compute.
        threads: Threads that decode and augment ahead.
        start: Steps that were taken already.
        phase: Distinguishes the random numbers of two trainings of one run.
    """
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.finetune.label_smoothing)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    number = start
    for images, targets in _batches(
        model.preprocessing, items, labels, recipe, plan, threads=threads, start=start, phase=phase
    ):
        rate = recipe.optimizer.lr * schedule_factor(recipe.schedule, number, plan.steps)
        set_learning_rate(optimizer, rate)
        set_modes(
            model, batchnorm=recipe.finetune.batchnorm
        )  # Here: the caller may have evaluated.
        torch.manual_seed(_seed(recipe.seed, phase, number))  # Dropout and stochastic depth.
        batch = torch.from_numpy(images).to(device, non_blocking=True)
        wanted = torch.from_numpy(targets).to(device, non_blocking=True)
        with torch.autocast(
            device.type, dtype=torch.bfloat16, enabled=recipe.compute.precision == "bf16"
        ):
            logits = model(batch)
        loss = criterion(logits.float(), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.optimizer.clip is not None:
            nn.utils.clip_grad_norm_(trained, recipe.optimizer.clip)
        optimizer.step()
        number += 1
        yield Step(
            number=number,
            loss=nn.functional.cross_entropy(logits.detach().float(), wanted),
            right=(logits.detach().argmax(1) == wanted).sum(),
            images=len(targets),
            learning_rate=rate,
        )


def _batches(
    preprocessing: Preprocessing,
    items: Sequence[Item],
    labels: NDArray[np.int64],
    recipe: Recipe,
    plan: Plan,
    *,
    threads: int,
    start: int,
    phase: str,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield the batches of all steps after `start`, shuffled anew in every epoch.

    The batches of an epoch are as equal in size as can be: no last one of a single image.
    """
    size = -(-len(items) // plan.steps_per_epoch)
    number = start
    while number < plan.steps:
        epoch, position = divmod(number, plan.steps_per_epoch)
        order = np.random.default_rng(_seed(recipe.seed, phase, epoch)).permutation(len(items))
        rest = order[position * size :][: (plan.steps - number) * size]
        batches = augmented_batches(
            [items[index] for index in rest],
            preprocessing,
            recipe.augment,
            seed=_seed(recipe.seed, phase),
            epoch=epoch,
            batch_size=size,
            threads=threads,
        )
        for offset, images in enumerate(batches):
            yield images, labels[rest[offset * size :][:size]]
            number += 1


def _seed(*parts: int | str) -> int:
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
