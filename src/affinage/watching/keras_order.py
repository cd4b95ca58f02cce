"""In which order Keras is given training images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.records.training_facts import Feeding, Part
from affinage.watching.targets import LabelOrder

_CLASSES = 1000


@dataclass(slots=True)
class GivenOrder:
    """Labels in the order of their array, and whether Keras shuffles it.

    Attributes:
        labels: None where targets are no classes, or were not given.
        shuffled: None where that is not known.
        same: Whether another pass begins alike; None where that is not known.
    """

    labels: LabelOrder | None = None
    shuffled: bool | None = None
    same: bool | None = None

    def take(self, targets: NDArray[Any], batch: int, *, shuffled: bool | None) -> None:
        """Take note of all targets, as they are cut into batches of a size."""
        self.shuffled = shuffled
        rows = targets.ndim == 2 and targets.shape[1] > 1
        labels = targets.argmax(1) if rows else targets.ravel()
        if not len(labels) or len(np.unique(labels)) > _CLASSES or bool((labels % 1).any()):
            return
        self.labels = LabelOrder()
        for start in range(0, len(labels), batch):
            piece = labels[start : start + batch].astype(np.int64)
            self.labels.add(torch.from_numpy(piece), completed=0)

    def fed(self, part: Part, images: int) -> Feeding:
        """Return how a part of so many images is fed."""
        if part != "train" or self.labels is None:
            return Feeding(part=part, images=images)
        near, distinct = self.labels.neighbours(), self.labels.distinct
        return Feeding(
            part=part,
            images=images,
            shuffled=self.shuffled,
            same_order=self.same,
            neighbours_equal=near[0] if near else None,
            neighbours_expected=near[1] if near else None,
            n=near[2] if near else 0,
            batch_labels=sum(distinct) / len(distinct) if distinct else None,
        )
