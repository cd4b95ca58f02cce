"""Counts that follow the view: what a crop, a turn or a small size leaves of an image's objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.augment import erased_part, generator, view_matrix
from affinage.imaging.boxes_in_view import times_seen
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

WHOLE = AugmentSettings(horizontal_flip=False, crop=1.0)
"""No change at all: the view of evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCounts:
    """Objects of images, counted anew in every view; see `times_seen` for the rule.

    Attributes:
        counts: Of the whole images, shape (n, K).
        boxes: Of each image (left, top, right, bottom), px of the image as shown, shape (m, 4).
        classes: Class of each box, shape (m,).
        frames: Width and height of each image, px.
        min_box: Least shorter side of a box, px of the view.
    """

    counts: NDArray[np.float32]
    boxes: Sequence[NDArray[np.float64]]
    classes: Sequence[NDArray[np.int64]]
    frames: Sequence[tuple[int, int]]
    min_box: float = 0.0

    def of_view(
        self,
        index: int,
        preprocessing: Preprocessing,
        settings: AugmentSettings,
        *,
        seed: int,
        epoch: int,
        image: str,
        draw: int,
    ) -> NDArray[np.float32]:
        """Return the counts of the view that `augment` makes by these numbers, shape (K,)."""
        random = partial(generator, seed, epoch, image, draw)
        width, height = self.frames[index]
        seen = times_seen(
            self.boxes[index],
            view_matrix(height, width, preprocessing, settings, random()),
            frame=(width, height),
            view=(preprocessing.width, preprocessing.height),
            min_box=self.min_box,
            covered=erased_part(preprocessing, settings, random()),
        )
        length = self.counts.shape[1]
        return np.bincount(self.classes[index], seen, minlength=length).astype(np.float32)

    def of_whole(self, index: int, preprocessing: Preprocessing) -> NDArray[np.float32]:
        """Return the counts of an image that is seen whole at the training size, shape (K,)."""
        return self.of_view(index, preprocessing, WHOLE, seed=0, epoch=0, image="", draw=0)
