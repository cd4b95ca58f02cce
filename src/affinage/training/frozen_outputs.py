"""The output of frozen layers, computed once for every view where views repeat, and kept in memory."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.models.classifier import Classifier
from affinage.models.freeze import set_modes
from affinage.models.frozen_part import (
    FrozenPart,
    difference,
    find_frozen_part,
    frozen_output,
    in_place_of,
)
from affinage.store.pixel_cache import memory_bytes
from affinage.training.feeding import Feed
from affinage.training.precision import autocast, precision_of

BATCH = 32
"""Images at once, always so many: every number is the same whoever computes it, and when."""

AGREES = {"fp32": 1e-5, "bf16": 1e-2, "fp16": 1e-2}
"""How far outputs may be from those of the whole model, relative to the largest: rounding."""

MEMORY_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Somebody looks at layers in some of the steps: in those, the frozen ones compute as well.

    Attributes:
        due: Whether the next step is looked at.
        charge: Takes the seconds that a step took longer for it.
        told: Takes whether the output of frozen layers is kept, or why it is not, as a sentence.
    """

    due: Callable[[], bool] = lambda: False
    charge: Callable[[float], None] = lambda _: None
    told: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenOutputs:
    """What the frozen part gives for every view of every image.

    Attributes:
        part: Of the model.
        table: Shape (images × views, ...), in memory; as `frozen_output` gives it.
    """

    part: FrozenPart
    table: Tensor

    def of(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return what was kept of some views."""
        return self.table[torch.from_numpy(rows)].to(device, non_blocking=True)

    def replaced(
        self, model: Classifier, kept: Tensor, *, charge: Callable[[float], None] | None
    ) -> contextlib.AbstractContextManager[None]:
        """Return the block in which the model goes on from what was kept: see `in_place_of`."""
        return in_place_of(model, self.part, kept, real=charge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Whether the output of frozen layers is kept, and why not.

    Attributes:
        outputs: What is kept; None where nothing is.
        reason: In words, with numbers; empty where nothing is frozen.
    """

    outputs: FrozenOutputs | None = None
    reason: str = ""


def keep_frozen_outputs(model: Classifier, feed: Feed, device: torch.device) -> Keeping:
    """Compute what the frozen layers give for all views, if views repeat and it proves right.

    Order and batches are fixed, so a training that goes on after a kill has the same bits. Before all
    of it is computed, the outputs of one batch are compared with those of the whole model.

    Args:
        model: On `device`; what is trained in it has been chosen.
        feed: Of the training.
        device: Where to compute.
    """
    if all(parameter.requires_grad for parameter in model.backbone.parameters()):
        return Keeping()
    for reason in _hindrances(feed):
        return _not(reason)
    set_modes(model, batchnorm=feed.recipe.finetune.batchnorm)
    precision = precision_of(feed.recipe.compute)
    with autocast(device, precision):
        part = _proven(model, feed, device, AGREES[precision])
        if isinstance(part, str):
            return _not(part)
        table = _table(model, part, feed, device)
    return Keeping(outputs=FrozenOutputs(part=part, table=table), reason=_told(feed, part))


def _not(reason: str) -> Keeping:
    return Keeping(
        reason=f"The output of the frozen layers is computed anew in every step: {reason}."
    )


def _hindrances(feed: Feed) -> Iterator[str]:
    """Yield why nothing could be gained."""
    augment, views = feed.recipe.augment, feed.views
    if feed.recipe.compute.frozen_cache == 0:
        yield "compute.frozen_cache is 0"
    if views is None:
        yield "augmentation makes new views in every epoch (augment.views=4 would repeat 4 of each image)"
        return
    if augment.mixup or augment.cutmix:
        yield "mixup and cutmix blend other images in every step"
    if len(feed.rungs()) > 1:
        yield "the images grow (finetune.sizes)"
    if feed.processes.world > 1:
        yield f"{feed.processes.world} processes share the images"
    if feed.plan.epochs <= views:
        yield f"no view is shown twice ({views} of each image, {feed.plan.epochs:.3g} epochs)"


def _proven(
    model: Classifier, feed: Feed, device: torch.device, rounding: float
) -> FrozenPart | str:
    """Return the frozen part, or why it cannot be left out."""
    views = feed.all_views(feed.rungs()[0], batch_size=BATCH)
    with contextlib.closing(views):  # type: ignore[type-var]
        images = torch.from_numpy(next(views))
    images = _filled(images).to(device)
    part = find_frozen_part(model, images)
    if part is None:
        return "no layer before the first trained one stands for itself"
    count, most = len(feed.items) * (feed.views or 1), _most_bytes(feed.recipe.compute.frozen_cache)
    if count * part.bytes_per_image > most:
        return (
            f"{count:,} views of {part.bytes_per_image:,} bytes are more than the {most / 1e9:.3g} GB "
            "allowed to it (compute.frozen_cache)"
        )
    try:
        gap = difference(model, part, images, batch=min(feed.size, BATCH))
    except RuntimeError:
        return "this network cannot compute without its first layers"
    if not gap <= rounding:
        return (
            "trained layers depend on more than the last frozen one (without the others, outputs are "
            f"{gap:.2g} of the largest apart)"
        )
    return part


def _most_bytes(gigabytes: float | None) -> float:
    return MEMORY_SHARE * memory_bytes() if gigabytes is None else gigabytes * 1e9


def _table(model: Classifier, part: FrozenPart, feed: Feed, device: torch.device) -> Tensor:
    """Return the outputs of all views, in the order of their rows."""
    count = len(feed.items) * (feed.views or 1)
    shape = [part.shapes[-1][axis - 1] for axis in part.axes[1:]]
    table = torch.empty((count, *shape), dtype=part.dtype)
    done = 0
    for images in feed.all_views(feed.rungs()[0], batch_size=BATCH):
        batch = _filled(torch.from_numpy(images)).to(device)
        table[done : done + len(images)] = frozen_output(model, part, batch)[: len(images)]
        done += len(images)
    return table


def _filled(images: Tensor) -> Tensor:
    short = BATCH - len(images)
    return torch.cat([images, images[:1].expand(short, *images.shape[1:])]) if short else images


def _told(feed: Feed, part: FrozenPart) -> str:
    views = feed.views or 1
    each = "each image" if views == 1 else f"{views} views of each image"
    size = len(feed.items) * views * part.bytes_per_image / 1e6
    return (
        f"The output of the frozen layers was computed once for {each} and kept ({size:,.3g} MB), not "
        f"computed in each of {feed.plan.epochs:.3g} epochs."
    )
