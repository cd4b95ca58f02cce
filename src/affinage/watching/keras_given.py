"""What a Keras `fit` was given: found where it runs, and read batch by batch where it is no array."""

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_MOST_ROWS = 2000
_MOST_BYTES = 100_000_000
_SECONDS = 2.0
_FRAMES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Arguments of a `fit` under way, its share for validation already taken from the arrays.

    Attributes:
        x: Images, or what gives batches of images and targets.
        y: Targets; None where `x` gives them.
        validation: As `validation_data`.
        batch: Images of a batch; None = as Keras chooses.
        shuffle: Whether Keras shuffles arrays.
    """

    x: Any
    y: Any
    validation: Any
    batch: int | None
    shuffle: bool


@dataclass(slots=True)
class Read:
    """Batches that were read from a source.

    Attributes:
        images: As one array.
        targets: As many.
        batch: Images of the first batch.
        whole: Whether the source has no more.
        same_order: Whether a second pass begins with the same targets; None where that cannot be told.
    """

    images: NDArray[Any]
    targets: NDArray[Any]
    batch: int
    whole: bool
    same_order: bool | None = None


def given_to_fit(model: Any) -> Given | None:
    """Return what the `fit` of a model was given, seen from a callback; None where no `fit` is under way."""
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        names = frame.f_locals
        if frame.f_code.co_name == "fit" and names.get("self") is model and "x" in names:
            return Given(
                x=names["x"], y=names.get("y"), validation=names.get("validation_data"),
                batch=names.get("batch_size"), shuffle=bool(names.get("shuffle", True)),
            )  # fmt: skip
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


@dataclass(slots=True)
class Tapped:
    """A generator that keeps the first batches that pass through it.

    Attributes:
        source: The generator.
        kept: Its first batches, of images and targets.
        ended: Whether it has given its last.
    """

    source: Iterator[Any]
    kept: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)
    ended: bool = False
    _rows: int = 0
    _bytes: int = 0

    def flow(self) -> Iterator[Any]:
        """Yield what the generator yields."""
        for batch in self.source:
            with contextlib.suppress(Exception):  # Of anyone's batches.
                self._keep(batch)
            yield batch
        self.ended = True

    def _keep(self, batch: Any) -> None:
        pair = _pair(batch)
        if pair is not None and self._rows < _MOST_ROWS and self._bytes < _MOST_BYTES:
            self.kept.append((np.array(pair[0]), np.array(pair[1])))
            self._rows += len(pair[0])
            self._bytes += pair[0].nbytes

    def read(self) -> Read | None:
        """Return what passed."""
        return _joined(self.kept, whole=self.ended)


def is_loader(source: Any) -> bool:
    """Return whether something gives the same batches again when asked: no array, no generator."""
    if source is None or hasattr(source, "shape") or isinstance(source, list | tuple | dict):
        return False
    indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    return indexed or (hasattr(source, "__iter__") and not hasattr(source, "__next__"))


def read(source: Any) -> Read | None:
    """Return the first batches of a loader, within 2,000 rows, 100 MB and two seconds.

    It is asked anew for them, so nothing that a `fit` under way will see is used up; the global states of
    random numbers are given back. The order in which a `tf.data` set will be shuffled in a later `fit` is
    another one after it.

    Returns:
        None where it gives no pairs of arrays.
    """
    with _random_states_kept():
        deadline = time.monotonic() + _SECONDS
        kept, size, whole = [], 0, True
        for batch in _batches(source):
            pair = _pair(batch)
            if pair is None:
                return None
            kept.append(pair)
            size += pair[0].nbytes
            rows = sum(len(x) for x, _ in kept)
            if rows >= _MOST_ROWS or size >= _MOST_BYTES or time.monotonic() > deadline:
                whole = rows == _rows_of(source)
                break
        found = _joined(kept, whole=whole)
        if found is not None:
            found.same_order = _begins_alike(source, kept[0][1])
        return found


def _batches(source: Any) -> Iterator[Any]:
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        for index in range(len(source)):
            yield source[index]
    else:
        yield from source


def _rows_of(source: Any) -> int | None:
    data = getattr(source, "dataset", None)
    return len(data) if isinstance(data, Sized) else None


def _begins_alike(source: Any, first: NDArray[Any]) -> bool | None:
    """Return whether another pass begins with the same targets; of equal targets nothing can be told."""
    if hasattr(source, "__getitem__") or len(np.unique(first)) < 2:
        return None  # What is asked by number is shuffled by Keras itself.
    pair = _pair(next(iter(source)))
    return pair is not None and pair[1].shape == first.shape and bool((pair[1] == first).all())


def _pair(batch: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return images and targets as arrays; None where a batch is anything else."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        return None
    images, targets = batch[0], batch[1]
    if not (hasattr(images, "shape") and hasattr(targets, "shape")):
        return None
    pair = np.asarray(images), np.asarray(targets)
    return pair if pair[0].ndim and pair[1].ndim and len(pair[0]) == len(pair[1]) else None


def _joined(kept: list[tuple[NDArray[Any], NDArray[Any]]], *, whole: bool) -> Read | None:
    if not kept:
        return None
    images, targets = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Read(images=images, targets=targets, batch=len(kept[0][0]), whole=whole)


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    states: list[tuple[Callable[[Any], Any], Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    try:
        yield
    finally:
        for give_back, state in states:
            give_back(state)
