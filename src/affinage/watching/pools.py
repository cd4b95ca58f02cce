"""Images of a part in the order in which its loader gives them, for experiments."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from affinage.records.training_facts import Part
from affinage.watching.live import Live
from affinage.watching.passes import images_in, targets_in

_IMAGES = 1000
_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Images with their targets.

    Attributes:
        images: Shape (n, channels, ...).
        targets: As many.
        batch: Images in a step.
    """

    images: Tensor
    targets: Tensor
    batch: int

    def rows(self, chosen: Tensor) -> "Pool":
        """Return some of the images, by a mask or by their numbers."""
        return Pool(images=self.images[chosen], targets=self.targets[chosen], batch=self.batch)


def pool_of(live: Live, part: Part = "train") -> Pool | None:
    """Return up to 1,000 images of a part; None where the loader does not give images with targets."""
    loader = live.loaders.get(part)
    deadline, images, targets = time.monotonic() + _SECONDS, [], []
    try:
        for batch in loader if loader is not None else ():
            x = images_in(batch)
            y = targets_in(batch, len(x)) if x is not None else None
            if x is None or y is None:
                return None
            images.append(x)
            targets.append(y)
            if sum(map(len, images)) >= _IMAGES or time.monotonic() > deadline:
                break
        if not images:
            return None
        return Pool(images=torch.cat(images), targets=torch.cat(targets), batch=len(images[0]))
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None


def classes_of_pool(pool: Pool, outputs: int) -> Tensor | None:
    """Return the class index of every image; None where targets are no classes.

    Args:
        pool: Images with targets: class indices, or rows with a single 1.
        outputs: Of the network, by image.
    """
    y = pool.targets
    if y.ndim == 2 and y.shape[1] == outputs and outputs > 1 and _one_hot(y):
        return y.argmax(1)
    if y.ndim == 1 and outputs > 1 and not y.is_floating_point():
        return y
    return None


def _one_hot(y: Tensor) -> bool:
    return bool(((y == 0) | (y == 1)).all()) and bool((y.sum(1) == 1).all())
