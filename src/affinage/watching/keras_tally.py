"""What a Keras training shows to a callback, step by step and epoch by epoch."""

import contextlib
import importlib
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.logs.naming import named
from affinage.records.signals import Histogram, Point, Signals
from affinage.records.training_facts import (
    BatchNorm,
    Layer,
    Objective,
    Optimizer,
    Overlap,
    Part,
)
from affinage.watching.collecting import baselines_of, task_of
from affinage.watching.inputs import InputTally
from affinage.watching.keras_facts import equal_units, flat_layers
from affinage.watching.keras_gradients import GradientProbe
from affinage.watching.keras_order import GivenOrder
from affinage.watching.keras_passes import passes
from affinage.watching.keras_sources import Parts
from affinage.watching.outputs import OutputTally, Scores
from affinage.watching.series import SeriesBook
from affinage.watching.targets import TargetTally, encoding_of
from affinage.watching.wholes import whole_sets

_PROBE = 64
_EVERY_RATE, _RATES_BETWEEN = 64, 4
"""Steps at which each learning rate is read, and from one reading to the next after them: it costs time."""
_HIDDEN = "Keras shows it to no callback"
_UNREAD = "the data were no arrays in memory and came from no loader that could be read again"
_OWN_CALL = "the model computes in a call() of its own"
_UNPROBED = {
    True: ", and it could not be measured on a probe batch",
    False: ", and there were no arrays to measure it on",
}


@dataclass(slots=True)
class KerasTally:
    """One `fit` under observation."""

    steps: int = 0
    epochs: int = 0
    first_rate: float | None = None
    points: list[Point] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    book: SeriesBook = field(default_factory=SeriesBook)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    order: GivenOrder = field(default_factory=GivenOrder)
    probing: GradientProbe | None = None
    _before: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    _mean: float = 0.0
    _rate: float | None = None
    _begun: float = 0.0

    def begin(self, model: Any) -> None:
        """Keep what the first step will change."""
        self.first_rate = _rate(model)

    def step_begun(self, model: Any) -> None:
        """Before a step; weights are kept where it is looked at: at steps 1, 2, 3, 5, 9, …."""
        if self.probing is not None and model.built:
            norms = self.probing.look(model)
            if norms:
                values = {("gradient_norm", layer): norm for layer, norm in norms.items()}
                values["gradient_norm", ""] = math.hypot(*norms.values())
                self.book.add(self.steps + 1, values)
        self._begun = time.perf_counter()
        self._before = {}
        if self.steps & (self.steps - 1) == 0:
            self._before = {layer.name: _weights(layer) for layer in flat_layers(model)}

    def step_ended(self, model: Any, batch: int, logs: dict[str, Any]) -> None:
        """After a step: Keras tells the mean loss of the epoch so far, of which the step's is taken."""
        self.steps += 1
        values = {("computing_seconds", ""): time.perf_counter() - self._begun}
        if "loss" in logs:
            mean, before = float(logs["loss"]), self._mean if batch else 0.0
            values["loss", ""] = mean * (batch + 1) - before * batch
            self._mean = mean
        if self.steps <= _EVERY_RATE or self.steps % _RATES_BETWEEN == 0:
            self._rate = _rate(model)
        if self._rate is not None:
            values["learning_rate", ""] = self._rate
        for layer in flat_layers(model) if self._before else ():
            before_weights = self._before.get(layer.name)
            if before_weights:
                size, moved = _norm(before_weights), _moved(before_weights, _weights(layer))
                values["weight_norm", layer.name] = size
                values["update_ratio", layer.name] = moved / size if size else float(moved > 0)
                if (share := equal_units(before_weights)) or self.steps > 1:
                    values["equal_units", layer.name] = share
        self.book.add(self.steps, values)

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """After an epoch: its curves."""
        self.epochs = epoch + 1
        for key, value in logs.items():
            name = named(key)
            if name is not None and np.isfinite(float(value)):
                self.points.append(
                    Point(stage="training", series=name[0], on=name[1], epoch=epoch + 1.0,
                          value=float(value))
                )  # fmt: skip

    def look(
        self, part: Part, images: NDArray[Any], all_targets: NDArray[Any], outputs: NDArray[Any],
        targets: NDArray[Any], loss: Objective, *, whole: bool = True,
    ) -> None:  # fmt: skip
        """Look at a part's data, and at the outputs for a sample of it.

        Classes are counted only where it is there as a whole.
        """
        given, wanted = torch.from_numpy(outputs), torch.from_numpy(np.ascontiguousarray(targets))
        tally, seen, shown = TargetTally(part), InputTally(part), OutputTally(part)
        rows = len(wanted)
        for start in range(0, len(all_targets), rows):
            piece = torch.from_numpy(np.ascontiguousarray(all_targets[start : start + rows]))
            tally.add(_flat(piece), given[: len(piece)], loss.name)
        for start in range(0, rows, 16):
            seen.add(_channels_first(images[start : start + 16]), completed=0)
        shown.add(given)
        known = tally.facts()
        if known is not None:
            self.targets.append(known if whole else replace(known, by_class=None))
        for kept, facts in ((self.inputs, seen), (self.outputs, shown)):
            kept.extend([fact] if (fact := facts.facts()) is not None else [])
        scores = Scores()
        encoding = encoding_of(_flat(wanted), given, loss.name)
        scores.add(given, _flat(wanted), encoding=encoding, loss=None,
                   from_logits=bool(loss.from_logits))  # fmt: skip
        on = "train (evaluation mode)" if part == "train" else part
        if part == "train":
            self.points += scores.points(on, float(self.epochs))
        histogram = scores.histogram(on, float(self.epochs))
        if histogram:
            self.histograms.append(histogram)

    def probe(self, model: Any, parts: Parts) -> None:
        """Measure activations of all layers on a few training images, after the training."""
        if "train" not in parts:
            return
        keras: Any = importlib.import_module("keras")
        images = parts["train"][0][:_PROBE]
        layers = [layer for layer in flat_layers(model) if layer in model.layers]
        probe = keras.Model(model.inputs, [layer.output for layer in layers])
        for layer, result in zip(layers, passes(probe, images), strict=True):
            values = np.asarray(result, dtype=np.float64)
            numbers = {
                ("activation_mean", layer.name): float(values.mean()),
                ("activation_std", layer.name): float(values.std()),
            }
            name = getattr(
                getattr(layer, "activation", None), "__name__", type(layer).__name__.lower()
            )
            if name in {"relu", "relu6"}:
                zero = values == 0
                numbers["zero_fraction", layer.name] = float(zero.mean())
                flat = zero.reshape(-1, zero.shape[-1])
                numbers["dead_units", layer.name] = float(flat.all(0).mean())
            if name in {"sigmoid", "tanh"}:
                low, high = (0.01, 0.99) if name == "sigmoid" else (-0.98, 0.98)
                numbers["saturation", layer.name] = float(((values < low) | (values > high)).mean())
            self.book.add(max(self.steps, 1), numbers)

    def signals(
        self, begun: Signals, *, layers: tuple[Layer, ...], batchnorms: tuple[BatchNorm, ...],
        loss: Objective, optimizer: Optimizer | None, planned: Any, parts: Parts,
        partial: frozenset[Part] = frozenset(), whole: bool = True,
    ) -> Signals:  # fmt: skip
        """Return all that is known."""
        targets = tuple(self.targets)
        hidden = ("comparisons", "expected", "waiting_seconds", "pretrained")
        missing = dict.fromkeys(hidden, _HIDDEN) | ({} if whole else {"functions": _OWN_CALL})
        if ("gradient_norm", "") not in self.book.numbers:
            missing["gradient_norm"] = _HIDDEN + _UNPROBED[self.probing is not None]
        if "train" not in parts:
            unseen = (
                "inputs",
                "targets",
                "outputs",
                "feeding",
                "overlaps",
                "whole",
                "histograms",
                "baselines",
            )
            missing |= dict.fromkeys(unseen, _UNREAD)
        wholes = {part: pair for part, pair in parts.items() if part not in partial}
        return replace(
            begun,
            points=tuple(self.points),
            task=task_of((loss,), targets),
            layers=layers,
            batchnorms=batchnorms,
            objectives=(loss,),
            outputs=tuple(self.outputs) or None,
            targets=targets or None,
            inputs=tuple(self.inputs) or None,
            feeding=tuple(self.order.fed(part, len(data[0])) for part, data in parts.items())
            or None,
            overlaps=_overlap(wholes),
            whole=whole_sets(
                {
                    part: _channels_first(images)
                    for part, (images, _) in wholes.items()
                    if images.dtype.kind == "f" and images.ndim > 2
                }
            ),
            optimizers=(optimizer,) if optimizer else None,
            series=self.book.facts() or None,
            histograms=tuple(self.histograms) or None,
            baselines=baselines_of(targets) or None,
            steps=self.steps,
            epochs=float(self.epochs),
            planned_epochs=float(planned) if isinstance(planned, int | float) else None,
            steps_per_epoch=self.steps / self.epochs if self.epochs else None,
            images={part: len(images) for part, (images, _) in wholes.items()} or None,
            ended="finished",
            missing=missing,
        )


def _rate(model: Any) -> float | None:
    with contextlib.suppress(Exception):  # A schedule of anyone's.
        return float(np.asarray(model.optimizer.learning_rate))
    return None


def _weights(layer: Any) -> list[NDArray[Any]]:
    if not layer.trainable_weights:
        return []
    keras: Any = importlib.import_module("keras")
    return [np.array(keras.ops.convert_to_numpy(weight.value)) for weight in layer.weights]


def _norm(arrays: list[NDArray[Any]]) -> float:
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))


def _moved(before: list[NDArray[Any]], after: list[NDArray[Any]]) -> float:
    return _norm([new - old for old, new in zip(before, after, strict=True)])


def _flat(targets: torch.Tensor) -> torch.Tensor:
    return targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


def _channels_first(images: NDArray[Any]) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(images)).float()
    return tensor.movedim(-1, 1) if tensor.ndim == 4 and tensor.shape[-1] <= 4 else tensor


def _overlap(parts: Parts) -> tuple[Overlap, ...] | None:
    """Return what training and validation share, by the bytes of their arrays' rows."""
    if "train" not in parts or "validation" not in parts:
        return None
    train, validation = (
        [hash(row.tobytes()) for row in parts[p][0]] for p in ("train", "validation")
    )
    own = set(train)
    shared = sum(row in own for row in validation)
    same = shared == len(validation) and set(validation) == own
    return (
        Overlap(first="train", second="validation", shared=shared, n=len(validation),
                same_set=same, by="pixels"),
    )  # fmt: skip
