"""Watch any PyTorch training: two lines around its loop."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from affinage.errors import RunError
from affinage.records.signals import Origin, Point, Signals
from affinage.records.training_facts import Part
from affinage.watching.collecting import collect, loaders_of
from affinage.watching.live import Live
from affinage.watching.passes import images_in
from affinage.watching.patches import patched
from affinage.watching.probes import at_rest, measure, sample_of
from affinage.watching.watcher import Watcher, first_tensor

Ended = Literal["finished", "cut", "failed"]


class Watched:
    """A training under observation, and what is known of it afterwards.

    Attributes:
        signals: What is known; complete once the block has been left.
        live: What experiments may copy; None until the block has been left.
    """

    def __init__(self, watcher: Watcher, *, origin: Origin, name: str = "") -> None:
        self.signals = Signals(origin=origin, name=name, framework=f"torch {torch.__version__}")
        self.live: Live | None = None
        self._watcher = watcher
        watcher.close_stage = partial(collect, watcher, at_rest=False)

    @property
    def share(self) -> float:
        """Share of the time so far that watching took, by its own account."""
        return self._watcher.moment.share

    @property
    def looks(self) -> bool:
        """Whether the layers are looked at in the step under way."""
        return self._watcher.moment.looking

    def charge(self, seconds: float) -> None:
        """Count seconds that a step took longer to be looked at as the watch's own time."""
        self._watcher.moment.charge(seconds)

    def tell(self, event: str, *facts: Any) -> None:
        """Let the watch know of an event that torch does not show, by its name in `patches.Listener`."""
        getattr(self._watcher, event)(*facts)

    def so_far(self) -> Signals:
        """Return what is known while the training goes on."""
        with self._watcher.moment.at_work():
            return self._named(collect(self._watcher, at_rest=False))

    def _named(self, signals: Signals) -> Signals:
        own = self.signals
        return replace(signals, origin=own.origin, name=own.name, framework=own.framework)

    def close(self, *, ended: Ended = "finished", error: str = "") -> None:
        """Measure what is measured at rest, and gather everything.

        Nothing of the training's own making is raised: what its loaders or networks refuse is missing.
        """
        watcher = self._watcher
        watcher.end()
        roots = watcher.stage.called
        points: list[Point] = []
        with watcher.moment.at_work(), at_rest(roots), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.live = _live(watcher)
            with contextlib.suppress(Exception):  # Of anyone's loader or network.
                points = _both_modes(watcher, self.live)
            signals = collect(watcher, at_rest=True)
        self.signals = replace(
            self._named(signals),
            points=(*signals.points, *points),
            ended=ended,
            error=error,
        )


@contextlib.contextmanager
def watch(
    model: nn.Module | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    train_loader: Any = None,
    val_loader: Any = None,
    test_loader: Any = None,
    evaluations: bool = True,
    name: str = "",
    origin: Origin = "watch",
) -> Iterator[Watched]:
    """Watch the training inside the block, without changing it.

    Steps are looked at in samples: the first ones, and then as many as take 1 % of the time.

    Args:
        model: Its network; None = every outermost module with weights that computes in the block.
        optimizer: What moves it; others that take steps in the block are heard of as well.
        train_loader: Loader of the training images; None = the one whose batches gradients come from.
        val_loader: Loader of the validation images; None = told by its variable's name.
        test_loader: Loader of the test images, where there is one.
        evaluations: Whether passes without gradients are heard of too.
        name: To tell it from others.
        origin: Whence the signals are.

    Yields:
        The watched training; its `signals` are complete once the block has been left, also where the
        training failed.

    Raises:
        RunError: If `model` is no module of torch, or holds no parameters.
    """
    watcher = Watcher(discover=model is None, evaluations=evaluations)
    if model is not None:
        _check(model)
        watcher.roots.watch(model)
    if optimizer is not None:
        watcher.expect(optimizer)
    given: dict[Part, Any] = {"train": train_loader, "validation": val_loader, "test": test_loader}
    watcher.roots.give({part: loader for part, loader in given.items() if loader is not None})
    watched = Watched(watcher, origin=origin, name=name)
    try:
        with patched(watcher, modules=model is None):
            yield watched
    except BaseException as error:
        watched.close(ended="failed", error=f"{type(error).__name__}: {error}")
        raise
    else:
        watched.close()
    finally:
        watcher.roots.release()


def _check(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise RunError(
            f"watch() was given a {type(model).__name__} where the model belongs.",
            remedy="Give the network itself: affinage.watch(model, optimizer=optimizer)",
        )
    if next(model.parameters(), None) is None:
        raise RunError(
            f"The model, a {type(model).__name__}, has no parameters: there is nothing to watch.",
            remedy="Give the network that the optimizer trains.",
        )


def _live(watcher: Watcher) -> Live:
    stage, loaders = watcher.stage, loaders_of(watcher)
    name, main = next(iter(stage.trained.items())) if len(stage.trained) == 1 else ("", None)
    tallies = list(stage.optimizers.values())
    return Live(
        roots=dict(stage.called),
        main=main,
        loaders=loaders,
        optimizers=tuple(tally.optimizer for tally in tallies),
        batches={part: sample_of(loader) for part, loader in loaders.items()},
        forward=_forward,
        criterion=stage.objectives.criterion(),
        norm_starts=dict(stage.norms.starts),
        start=stage.starts.get(name),
        modes={path: stage.modes[m] for path, m in main.named_modules() if m in stage.modes}
        if main is not None
        else {},
        rates=tallies[-1].rates if tallies else (),
    )


def _forward(network: nn.Module, batch: Any) -> Tensor:
    """Return a network's outputs for a batch as its loader gave it.

    Raises:
        RunError: If the batch holds no images, or the network does not take them alone.
    """
    images = images_in(batch)
    first = next(network.parameters(), None)
    if images is None or first is None:
        raise RunError("The batch holds no images.", remedy="Watch the training without probes.")
    outputs = first_tensor(network(images.to(first.device)))
    if outputs is None:
        raise RunError("The network gave no tensor.", remedy="Watch the training without probes.")
    return outputs


def _both_modes(watcher: Watcher, live: Live) -> list[Point]:
    """Measure one sample of training images in training mode and in evaluation mode."""
    batches = live.batches.get("train")
    if live.main is None or not batches or not watcher.moment.step:
        return []
    network, points = live.main, []
    as_trained = watcher.stage.modes
    for on in ("train (training mode)", "train (evaluation mode)"):
        network.eval()
        if on == "train (training mode)":
            for module, mode in as_trained.items():
                module.training = mode
        measured = measure(
            batches, partial(live.forward, network), on=on, epoch=watcher.moment.epoch,
            loss=watcher.stage.objectives.usual(), criterion=live.criterion,
            from_logits=watcher.stage.objectives.from_logits(),
        )  # fmt: skip
        points += measured
    return points
