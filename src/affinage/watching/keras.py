"""Keras 3 under observation: a callback, and every `fit` of a script."""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

import numpy as np

from affinage.errors import AffinageError
from affinage.records.signals import Origin, Signals
from affinage.watching.keras_facts import (
    batchnorms_of,
    layers_of,
    loss_of,
    optimizer_of,
    shows_functions,
)
from affinage.watching.keras_given import Tapped, given_to_fit
from affinage.watching.keras_gradients import IMAGES, GradientProbe
from affinage.watching.keras_loops import Quiet, loops_watched, steps_by_hand
from affinage.watching.keras_passes import passed
from affinage.watching.keras_sources import Sources
from affinage.watching.keras_tally import KerasTally

_ROWS = 512


def keras_callback(
    *, x: Any = None, y: Any = None, validation_data: Any = None, name: str = "",
    origin: Origin = "callback",
) -> Any:  # fmt: skip
    """Return a callback for `model.fit(callbacks=[…])` whose `signals` are complete after the training.

    What `fit` was given is seen; of a loader (a `tf.data` set, a `PyDataset`, a `DataLoader`) batches are
    read again after the training, of a generator none. What Keras hides from callbacks is named in
    `signals.missing`. Gradients are among it: they are measured on a few training images now and then where
    these are arrays and Keras computes with TensorFlow or PyTorch.

    Args:
        x: Training images as arrays, or a loader; None = what `fit` is given.
        y: Their targets, as they reach the loss.
        validation_data: (images, targets) of validation, or a loader; None = what `fit` is given.
        name: To tell it from others.
        origin: Whence the signals are.

    Raises:
        AffinageError: If Keras 3 is not installed.
    """
    keras = _keras()
    tally = KerasTally()

    class Watch(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Listens to one `fit`."""

        def __init__(self) -> None:
            super().__init__()
            self.tally = tally
            self.sources = Sources(x=x, y=y, validation=validation_data)
            self.signals = Signals(origin=origin, name=name, framework=f"keras {keras.__version__}")

        def on_train_begin(self, logs: Any = None) -> None:
            with contextlib.suppress(Exception):  # Of anyone's model.
                self.sources.complete(given_to_fit(self.model), tally.order)
                train = self.sources.arrays()
                if train is not None:
                    tally.probing = GradientProbe(train[0][:IMAGES], train[1][:IMAGES])
                tally.begin(self.model)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            with contextlib.suppress(Exception):  # Of anyone's model.
                tally.step_begun(self.model)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            with contextlib.suppress(Exception):  # Of anyone's model.
                tally.step_ended(self.model, batch, logs or {})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            with contextlib.suppress(Exception):  # Of anyone's model.
                tally.epoch_ended(epoch, logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            with contextlib.suppress(Exception):
                self.signals = _signals(
                    self.model, tally, self.sources, self.signals, self.params or {}
                )

    return Watch()


class Fits(list[Signals]):
    """Signals of every `fit`, and of every model that a script stepped through batch by batch.

    Attributes:
        by_hand: Steps of Keras' optimizers that a script took by itself, outside of all of them.
    """

    by_hand = 0


@contextlib.contextmanager
def fits_watched(
    name: str, quiet: Quiet, stepped: Callable[[], None] = lambda: None
) -> Iterator[Fits]:
    """Watch every `fit` of Keras inside the block; the list fills with their signals.

    Does nothing where Keras is not installed.

    Args:
        name: Of the script.
        quiet: Keeps the watch of torch, which Keras may compute with, still for the time of a fit.
        stepped: Told of each step that a script takes by itself.
    """
    seen = Fits()
    depth = 0
    try:
        keras = _keras()
    except AffinageError:
        yield seen
        return
    original = keras.Model.fit

    @contextlib.contextmanager
    def still() -> Iterator[None]:
        nonlocal depth
        depth += 1
        try:
            with quiet():
                yield
        finally:
            depth -= 1

    def by_hand() -> None:
        if not depth:
            seen.by_hand += 1
            stepped()

    def fit(model: Any, x: Any = None, y: Any = None, **settings: Any) -> Any:
        watch = keras_callback(name=name, origin="script")
        if isinstance(x, GeneratorType):
            watch.sources.tapped = Tapped(x)
            x = watch.sources.tapped.flow()
        settings["callbacks"] = [*_listed(settings.get("callbacks")), watch]
        try:
            with still():
                return original(model, x, y, **settings)
        finally:
            with contextlib.suppress(
                Exception
            ):  # A training that failed is told as far as it came.
                if not watch.signals.steps:
                    watch.on_train_end()
            seen.append(watch.signals)

    def called(model: Any, x: Any = None, y: Any = None, *positional: Any, **settings: Any) -> Any:
        names = (
            "batch_size",
            "epochs",
            "verbose",
            "callbacks",
            "validation_split",
            "validation_data",
            "shuffle",
        )
        return fit(model, x, y, **dict(zip(names, positional, strict=False)), **settings)

    make_watch = functools.partial(keras_callback, name=name, origin="script")
    with steps_by_hand(keras, by_hand), loops_watched(keras, make_watch, still) as loops:
        keras.Model.fit = called
        try:
            yield seen
        finally:
            keras.Model.fit = original
    seen += [loop.watch.signals for loop in loops]


def _keras() -> Any:
    try:
        keras = importlib.import_module("keras")
    except ImportError:
        raise AffinageError(
            "Keras is not installed.",
            remedy="Install it: pip install 'keras>=3' and a backend of it",
        ) from None
    if int(str(keras.__version__).split(".", 1)[0]) < 3:
        raise AffinageError(
            f"Keras {keras.__version__} is installed; the doctor watches Keras 3.",
            remedy="Install it: pip install 'keras>=3'",
        )
    return keras


def _listed(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def _signals(
    model: Any,
    tally: KerasTally,
    sources: Sources,
    begun: Signals,
    settings: dict[str, Any],
) -> Signals:
    loss, parts = loss_of(model), sources.parts(tally.order)
    for part, (images, targets) in parts.items():
        spread = np.unique(np.linspace(0, len(images) - 1, min(len(images), _ROWS)).astype(int))
        with contextlib.suppress(Exception):  # Of anyone's network.
            outputs = passed(model, images[spread])
            tally.look(
                part, images[spread], targets, outputs, targets[spread], loss,
                whole=part not in sources.partial,
            )  # fmt: skip
    with contextlib.suppress(Exception):
        tally.probe(model, parts)
    return tally.signals(
        begun,
        layers=layers_of(model),
        batchnorms=batchnorms_of(model, tally.steps),
        loss=loss,
        optimizer=optimizer_of(model, tally.steps, tally.first_rate),
        planned=settings.get("epochs"),
        parts=parts,
        partial=frozenset(sources.partial),
        whole=shows_functions(model),
    )
