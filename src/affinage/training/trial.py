"""What a few steps are tried on, before a training, to settle what its recipe leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.training.feeding import Targets
from affinage.training.losses import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A training that is only tried: whoever tries it works on a copy of the model.

    Attributes:
        model: As the training will find it, on `device`.
        items: Training images.
        targets: Of each, as the objective takes them.
        objective: What is made small.
        recipe: Settings.
        device: Where to compute.
        threads: Threads that decode and augment ahead.
    """

    model: Classifier
    items: Sequence[Item]
    targets: Targets
    objective: Objective
    recipe: Recipe
    device: torch.device
    threads: int

    def under(self, recipe: Recipe) -> "Trial":
        """Return the same under other settings."""
        return replace(self, recipe=recipe)
