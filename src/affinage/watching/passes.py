"""One pass of a batch through the network: what it was for is known only later."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from affinage.watching.layers import Shown


@dataclass(slots=True)
class LossCall:
    """One call of a loss function.

    Attributes:
        name: As torch calls it.
        outputs: Its first argument.
        targets: Its second argument.
        settings: Its keywords.
        value: Its result.
    """

    name: str
    outputs: Tensor
    targets: Tensor
    settings: dict[str, Any]
    value: Tensor


@dataclass(slots=True)
class Pass:
    """A batch on its way: from the network's first layer to its loss.

    Attributes:
        loader: Whence the batch came; None where there is none.
        batch: The batch; None where there is none.
        batch_number: Of all loaders' batches.
        looked: Whether layers were measured.
        graph: Whether gradients could come from it.
        training: Whether any part of the network was in training mode.
        root_trains: Whether the network itself was: what `train()` and `eval()` set.
        name: Of the network.
        outputs: Of the outermost module that computed last.
        shown: What layers showed.
        losses: Loss functions that were called after it.
    """

    loader: Any
    batch: Any
    batch_number: int
    looked: bool
    graph: bool
    training: bool
    root_trains: bool
    name: str
    outputs: Tensor | None = None
    shown: Shown | None = None
    losses: list[LossCall] = field(default_factory=list)

    def targets(self) -> Tensor | None:
        """Return what the loss compared with; where there was none, what came with the batch."""
        if self.losses:
            return self.losses[-1].targets
        return targets_in(self.batch, len(self.outputs) if self.outputs is not None else None)

    def judged(self) -> Tensor | None:
        """Return the outputs as the loss took them, or as the network gave them."""
        if self.losses:
            return self.losses[-1].outputs
        return self.outputs


_NAMES = ("labels", "label", "targets", "target", "y")


def targets_in(batch: Any, images: int | None) -> Tensor | None:
    """Return the targets of a batch as data sets give it; None where they cannot be told."""
    if isinstance(batch, dict):
        found = [batch[name] for name in _NAMES if name in batch]
    elif isinstance(batch, tuple | list) and len(batch) > 1:
        found = [batch[1]]
    else:
        return None
    target = found[0] if found else None
    if not isinstance(target, Tensor) or target.ndim == 0 or target.ndim > 2:
        return None
    return target if images is None or len(target) == images else None


def images_in(batch: Any) -> Tensor | None:
    """Return the images of a batch as data sets give it; None where they cannot be told."""
    if isinstance(batch, Tensor):
        return batch
    values = batch.values() if isinstance(batch, dict) else batch
    if not isinstance(batch, dict | tuple | list):
        return None
    return next(
        (each for each in values if isinstance(each, Tensor) and each.is_floating_point()), None
    )
