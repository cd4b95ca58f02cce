"""Where a Keras training's images come from, and what of them could be read."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.records.training_facts import Part
from affinage.watching.keras_given import Given, Read, Tapped, is_loader, read
from affinage.watching.keras_order import GivenOrder

Parts = dict[Part, tuple[NDArray[Any], NDArray[Any]]]
_BATCH = 32


@dataclass(slots=True)
class Sources:
    """Arrays and loaders of a training, as they were given to the watch or to `fit`.

    Attributes:
        x: Training images, or what gives batches.
        y: Their targets.
        validation: As `validation_data`.
        tapped: A generator of training batches whose first ones were kept.
        partial: Parts of which only some images were read.
    """

    x: Any = None
    y: Any = None
    validation: Any = None
    tapped: Tapped | None = None
    partial: set[Part] = field(default_factory=set)

    def complete(self, given: Given | None, order: GivenOrder) -> None:
        """Take over what `fit` was given where nothing else was named."""
        if given is None:
            return
        if self.x is None:
            self.x, self.y = given.x, given.y
        if self.validation is None:
            self.validation = given.validation
        arrays = self.arrays()
        if arrays is not None:
            order.take(arrays[1], given.batch or _BATCH, shuffled=given.shuffle)

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return training images and targets where they are arrays."""
        return _arrays(self.x, self.y)

    def parts(self, order: GivenOrder) -> Parts:
        """Return what could be read of each part; loaders are read now, and tell their order."""
        found: Parts = {}
        train = self.arrays()
        if train is not None:
            found["train"] = train
        else:
            seen = self.tapped.read() if self.tapped is not None else _read(self.x)
            self._enter("train", seen, found)
            if seen is not None:
                order.take(seen.targets, seen.batch, shuffled=None)
                order.same = seen.same_order
        pair = self.validation if isinstance(self.validation, tuple | list) else (None, None)
        validation = _arrays(*pair[:2]) if len(pair) > 1 else None
        if validation is not None:
            found["validation"] = validation
        else:
            self._enter("validation", _read(self.validation), found)
        return found

    def _enter(self, part: Part, seen: Read | None, found: Parts) -> None:
        if seen is not None:
            found[part] = (seen.images, seen.targets)
            if not seen.whole:
                self.partial.add(part)


def _read(source: Any) -> Read | None:
    with contextlib.suppress(Exception):  # Of anyone's loader.
        return read(source) if is_loader(source) else None
    return None


def _arrays(x: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if not (hasattr(x, "shape") and hasattr(y, "shape")) or len(x) != len(y):
        return None
    return np.asarray(x), np.asarray(y)
