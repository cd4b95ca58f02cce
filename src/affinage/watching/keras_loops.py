"""Keras trainings that a script steps through by itself: `train_on_batch`, and optimizers applied by hand."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Quiet = Callable[[], contextlib.AbstractContextManager[None]]
_MOST_ROWS = 4096


@dataclass(slots=True)
class Batches:
    """Arrays that came batch by batch, joined again up to so many rows."""

    inputs: list[NDArray[Any]] = field(default_factory=list)
    targets: list[NDArray[Any]] = field(default_factory=list)
    rows: int = 0

    def add(self, x: Any, y: Any) -> None:
        """Keep a batch, unless it is no pair of arrays or there are enough."""
        fits = hasattr(x, "shape") and hasattr(y, "shape") and len(x) == len(y)
        if fits and self.rows < _MOST_ROWS:
            self.inputs.append(np.array(x))
            self.targets.append(np.array(y))
            self.rows += len(x)

    def whole(self) -> tuple[Any, Any]:
        """Return inputs and targets as one array each; (None, None) where there are none."""
        if not self.inputs:
            return None, None
        return np.concatenate(self.inputs), np.concatenate(self.targets)


@dataclass(slots=True)
class Loop:
    """A model that a script trains batch by batch.

    Attributes:
        model: The model.
        watch: The callback that keeps what is seen.
        train: Batches that it was given.
        validation: Arrays that it was evaluated on last.
        looks: How often it was evaluated.
        since: Steps since Keras began its means anew.
    """

    model: Any
    watch: Any
    train: Batches = field(default_factory=Batches)
    validation: tuple[Any, Any] | None = None
    looks: int = 0
    since: int = 0

    def stepped(self, x: Any, y: Any) -> None:
        """A batch has been learnt from."""
        self.train.add(x, y)
        self.watch.on_train_batch_end(self.since, self.means())
        self.since += 1

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return Keras' means by name."""
        with contextlib.suppress(Exception):  # Of anyone's metrics.
            found = self.model.get_metrics_result()
            return {f"{prefix}{name}": float(value) for name, value in found.items()}
        return {}

    def evaluated(self, x: Any, y: Any, before: dict[str, float]) -> None:
        """The model has been evaluated: such a look counts as the end of an epoch."""
        self.looks += 1
        if hasattr(x, "shape") and hasattr(y, "shape"):
            self.validation = (np.asarray(x), np.asarray(y))
        self.watch.on_epoch_end(self.looks - 1, before | self.means("val_"))

    def close(self) -> None:
        """Gather everything."""
        x, y = self.train.whole()
        sources = self.watch.sources
        sources.x, sources.y, sources.validation = x, y, self.validation
        self.watch.set_model(self.model)
        self.watch.on_train_end()


@contextlib.contextmanager
def loops_watched(keras: Any, make_watch: Callable[[], Any], quiet: Quiet) -> Iterator[list[Loop]]:
    """Watch every `train_on_batch` and `evaluate` of Keras inside the block.

    Args:
        keras: The package.
        make_watch: Makes the callback that keeps what is seen of a model.
        quiet: Keeps the watch of torch, which Keras may compute with, still meanwhile.

    Yields:
        One loop for each model that a script stepped through; complete once the block is left.
    """
    loops: list[Loop] = []

    def loop_of(model: Any) -> Loop | None:
        return next((loop for loop in loops if loop.model is model), None)

    def learning(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(model: Any, x: Any, y: Any = None, *rest: Any, **settings: Any) -> Any:
            with quiet():
                loop = loop_of(model)
                if loop is None:
                    loops.append(loop := Loop(model=model, watch=make_watch()))
                    loop.watch.set_model(model)
                    loop.watch.on_train_begin()
                loop.watch.on_train_batch_begin(loop.watch.tally.steps)
                result = original(model, x, y, *rest, **settings)
                with contextlib.suppress(Exception):  # Of anyone's arrays and metrics.
                    loop.stepped(x, y)
            return result

        return called

    def judging(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(model: Any, x: Any = None, y: Any = None, *rest: Any, **settings: Any) -> Any:
            with quiet():
                loop = loop_of(model)
                before = loop.means() if loop is not None and loop.since else {}
                result = original(model, x, y, *rest, **settings)
                if loop is not None:
                    with contextlib.suppress(Exception):
                        loop.evaluated(x, y, before)
            return result

        return called

    def forgetting(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(model: Any) -> Any:
            loop = loop_of(model)
            if loop is not None:
                loop.since = 0
            return original(model)

        return called

    def answering(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **settings: Any) -> Any:
            with quiet():
                return original(*given, **settings)

        return called

    ways = {"train_on_batch": learning, "evaluate": judging, "test_on_batch": answering,
            "predict": answering, "predict_on_batch": answering, "reset_metrics": forgetting}  # fmt: skip
    with contextlib.ExitStack() as stack:
        for name, way in ways.items():
            _replace(stack, keras.Model, name, way)
        yield loops
    for loop in loops:
        with contextlib.suppress(Exception), quiet():
            loop.close()


@contextlib.contextmanager
def steps_by_hand(keras: Any, heard: Callable[[], None]) -> Iterator[None]:
    """Hear of every step of a Keras optimizer inside the block.

    Args:
        keras: The package.
        heard: Called after each.
    """

    def stepping(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **settings: Any) -> Any:
            result = original(*given, **settings)
            heard()
            return result

        return called

    with contextlib.ExitStack() as stack:
        _replace(stack, keras.optimizers.Optimizer, "apply", stepping)
        yield


def _replace(stack: contextlib.ExitStack, owner: Any, name: str, way: Callable[..., Any]) -> None:
    """Put a wrapper in the place of a method until the stack is left, inherited or not."""
    original = getattr(owner, name)
    own = name in vars(owner)
    setattr(owner, name, functools.wraps(original)(way(original)))
    if own:
        stack.callback(setattr, owner, name, original)
    else:
        stack.callback(delattr, owner, name)
