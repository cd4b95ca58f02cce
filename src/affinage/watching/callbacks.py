"""Callbacks by which Lightning, Hugging Face's Trainer and fastai let their trainings be watched."""

import contextlib
import importlib
from typing import Any

from torch import nn
from torch.optim import Optimizer

from affinage.errors import AffinageError
from affinage.records.signals import Signals
from affinage.watching.watch import Watched, watch


class _Watching:
    """A watch that a framework's events open and close.

    Attributes:
        watched: The training; None before its first event.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stack = contextlib.ExitStack()
        self.watched: Watched | None = None

    @property
    def signals(self) -> Signals:
        """What is known of the training; complete once it has ended."""
        empty = Signals(origin="callback", name=self._name)
        return empty if self.watched is None else self.watched.signals

    def begin(self, model: nn.Module | None, optimizer: Any, train: Any, validation: Any) -> None:
        """Watch from now on; a training that never ended is left alone."""
        self.end()
        inner = getattr(optimizer, "optimizer", optimizer)
        self.watched = self._stack.enter_context(
            watch(
                model,
                optimizer=inner if isinstance(inner, Optimizer) else None,
                train_loader=train,
                val_loader=validation,
                name=self._name,
                origin="callback",
            )
        )

    def end(self, error: BaseException | None = None) -> None:
        """Gather everything, and take the watch away."""
        stack, self._stack = self._stack, contextlib.ExitStack()
        if error is None:
            stack.close()
            return
        with contextlib.suppress(BaseException):  # The framework raises it itself.
            stack.__exit__(type(error), error, error.__traceback__)


def lightning_callback(*, name: str = "") -> Any:
    """Return a callback for `Trainer(callbacks=[…])` whose `signals` are complete after `fit`.

    Args:
        name: To tell the training from others.

    Raises:
        AffinageError: If Lightning is not installed.
    """
    base = _needed("Lightning", "lightning", "lightning.pytorch", "pytorch_lightning").Callback
    watching = _Watching(name)

    class Watch(base):  # type: ignore[misc, valid-type]
        """Listens to one `fit`."""

        @property
        def signals(self) -> Signals:
            return watching.signals

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            # Loaders begin before `on_train_start`; and a module's own `forward` need not be what
            # training computes, so networks are found.
            watching.begin(None, None, None, None)

        def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
            watching.end()

        def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
            watching.begin(None, None, None, None)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            watching.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            watching.end(exception)

    return Watch()


def huggingface_callback(*, name: str = "") -> Any:
    """Return a callback for `Trainer(callbacks=[…])` whose `signals` are complete after `train`.

    Args:
        name: To tell the training from others.

    Raises:
        AffinageError: If transformers is not installed.
    """
    base = _needed("transformers", "transformers[torch]", "transformers").TrainerCallback
    watching = _Watching(name)

    class Watch(base):  # type: ignore[misc, valid-type]
        """Listens to one `train`."""

        @property
        def signals(self) -> Signals:
            return watching.signals

        def on_train_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
            watching.begin(
                known.get("model"), known.get("optimizer"), known.get("train_dataloader"),
                known.get("eval_dataloader"),
            )  # fmt: skip

        def on_train_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
            watching.end()

    return Watch()


def fastai_callback(*, name: str = "") -> Any:
    """Return a callback for `Learner(cbs=[…])` or `fit(cbs=[…])` whose `signals` are complete after it.

    fastai changes batches after its loaders gave them, so the callback tells of batches itself.

    Args:
        name: To tell the training from others.

    Raises:
        AffinageError: If fastai is not installed.
    """
    base = _needed("fastai", "fastai", "fastai.callback.core").Callback
    watching = _Watching(name)

    class Watch(base):  # type: ignore[misc, valid-type]
        """Listens to one `fit`."""

        order = 100  # After what moves batches to the device and changes them.

        @property
        def signals(self) -> Signals:
            return watching.signals

        def before_fit(self) -> None:
            learn = self.learn
            watching.begin(
                learn.model, getattr(learn.opt, "opt", None), learn.dls.train, learn.dls.valid
            )

        def before_train(self) -> None:
            self._tell("loader_begun", self.learn.dls.train)

        def before_validate(self) -> None:
            self._tell("loader_begun", self.learn.dl)

        def before_batch(self) -> None:
            self._tell("batch_given", self.learn.dl, (*self.learn.xb, *self.learn.yb), 0.0)

        def before_step(self) -> None:
            if not hasattr(self.learn.opt, "opt"):  # Torch's own are heard of already.
                self._tell("step_begun", self.learn.opt)

        def after_step(self) -> None:
            if not hasattr(self.learn.opt, "opt"):
                self._tell("step_ended", self.learn.opt)

        def after_train(self) -> None:
            self._tell("loader_ended", self.learn.dls.train)

        def after_validate(self) -> None:
            self._tell("loader_ended", self.learn.dl)

        def after_fit(self) -> None:
            watching.end()

        def _tell(self, event: str, *facts: Any) -> None:
            if watching.watched is not None:
                watching.watched.tell(event, *facts)

    return Watch()


def _needed(name: str, package: str, *modules: str) -> Any:
    for module in modules:
        with contextlib.suppress(ImportError):
            return importlib.import_module(module)
    raise AffinageError(f"{name} is not installed.", remedy=f"Install it: pip install '{package}'")
