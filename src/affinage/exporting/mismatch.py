"""What a difference between the trained and the exported model looks like, by its cause."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.resize import prepare
from affinage.metrics.classification import softmax
from affinage.records.bundle import Reading, Stage
from affinage.records.preprocessing import Interpolation, Preprocessing

_NAMES = "RGB"
_NEAR = 0.2
"""Share of the difference that may be left where a cause explains it."""

MOST_LABELS = 200
"""Beyond so many, an order of labels is not searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One stage of one image, or of a few, in both models.

    Attributes:
        stage: How far they are apart.
        trained: Numbers of the trained model.
        exported: Numbers of the exported one.
        preprocessing: Of the trained model.
        reading: Of the exported one.
        frame: The decoded pixels that a view was made of; None at other stages.
    """

    stage: Stage
    trained: NDArray[Any]
    exported: NDArray[Any]
    preprocessing: Preprocessing
    reading: Reading
    frame: NDArray[np.uint8] | None = None


def explain(difference: Difference) -> str:
    """Return what is wrong, in words: the cause where the numbers tell it, and how far they are apart."""
    apart = difference.stage.max_abs_difference
    allowed = difference.stage.allowed or 0.0
    how = f"numbers are up to {apart:.3g} apart where {allowed:.3g} is allowed"
    if difference.trained.shape != difference.exported.shape:
        shapes = f"{difference.exported.shape} where the run has {difference.trained.shape}"
        return f"the shape is another, {shapes} (rotation or size)"
    causes = [cause for rule in _RULES[difference.stage.name] for cause in rule(difference)]
    return f"{causes[0]}; {how}" if causes else how


def channel_order(difference: Difference) -> Iterator[str]:
    """Name another order of the colour channels."""
    planes = difference.stage.name == "tensor"
    trained, exported = difference.trained, difference.exported
    if planes:
        trained, exported = (_levels(one, difference.preprocessing) for one in (trained, exported))
    for order in permutations(range(3)):
        if order == (0, 1, 2):
            continue
        if _nearer(np.take(exported, order, axis=-1), exported, trained):
            found = "".join(_NAMES[channel] for channel in order)
            yield f"the channel order is another ({found} where the run has RGB)"


def resize_filter(difference: Difference) -> Iterator[str]:
    """Name another look at the frame: the one of those at hand that gives the exported view."""
    kind, frame = difference.preprocessing, difference.frame
    known = f"the run has {kind.interpolation} with anti-aliasing, " + (
        "the whole frame" if kind.whole else f"a centre crop of {kind.crop:g}"
    )
    if frame is not None:
        for name, other in _other_looks(kind):
            if _nearer(prepare(frame, other), difference.trained, difference.exported):
                yield f"the {name} where {known}"
    yield f"the resize is another (filter, anti-aliasing, crop or size); {known}"


def _other_looks(kind: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    """Yield other ways to look at a frame, and what each is called."""
    for interpolation in get_args(Interpolation):
        yield f"resize filter is {interpolation}", replace(kind, interpolation=interpolation)
    for crop in (1.0, 0.95, 0.9, 0.875, 0.8, 0.75):
        yield f"centre crop is {crop:g}", replace(kind, crop=crop, whole=False)
    yield "whole frame is squeezed", replace(kind, whole=True)


def normalisation(difference: Difference) -> Iterator[str]:
    """Name another mean or deviation, by a straight line through each channel's numbers."""
    kind = difference.preprocessing
    trained, exported = difference.trained, difference.exported
    means, deviations = [], []
    for channel in range(3):
        known, found = trained[:, channel].ravel(), exported[:, channel].ravel()
        if np.ptp(known) == 0:
            return
        slope, shift = np.polyfit(known.astype(np.float64), found.astype(np.float64), 1)
        if np.abs(slope * known + shift - found).max() > 1e-2 * max(1.0, np.abs(known).max()):
            return
        deviation = kind.std[channel] / slope
        deviations.append(deviation)
        means.append(kind.mean[channel] - shift * deviation)
    yield (
        f"the normalisation is another (mean/std): mean {_numbers(means)}, std {_numbers(deviations)} "
        f"where the run has mean {_numbers(kind.mean)}, std {_numbers(kind.std)}"
    )


def weights(difference: Difference) -> Iterator[str]:
    """Name what is left between tensor and features."""
    yield "the backbone computes something else (weights, BatchNorm, or an operation)"


def activation(difference: Difference) -> Iterator[str]:
    """Name an activation that is missing or there twice."""
    reading, exported = difference.reading, difference.exported.astype(np.float64)
    if reading.task == "classify":
        temperatures = {reading.temperature: "", 1.0: " or of the temperature"}
        for temperature, more in temperatures.items():
            if _explains(difference, softmax(exported / temperature)):
                yield f"the activation is missing: these are raw outputs, before the softmax{more}"
        if _explains(difference, exported, of=softmax(difference.trained)):
            yield "the activation is there twice"
        known = np.log(np.maximum(exported, 1e-12))
        if reading.temperature != 1 and _explains(difference, softmax(known / reading.temperature)):
            yield f"the temperature {reading.temperature:.3g} is missing"
        return
    inverse: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "sigmoid": lambda raw: 1 / (1 + np.exp(-raw)),
        "exp": lambda raw: np.exp(np.minimum(raw, 50)),
        "softplus": lambda raw: np.logaddexp(0, raw),
        "relu": lambda raw: np.maximum(raw, 0),
    }
    for name, apply in inverse.items():
        if _explains(difference, apply(exported)):
            yield f"the activation is missing: these are raw outputs, before {name}"


def label_order(difference: Difference) -> Iterator[str]:
    """Name another order of the outputs: the one that makes them equal."""
    trained, exported = np.atleast_2d(difference.trained), np.atleast_2d(difference.exported)
    count = trained.shape[1]
    if not 1 < count <= MOST_LABELS:
        return
    apart = np.abs(trained[:, :, None] - exported[:, None, :]).max(axis=0)
    order = apart.argmin(axis=1)
    if len(set(order.tolist())) == count and _explains(difference, exported[:, order]):
        moved = [
            name for place, name in enumerate(difference.reading.labels) if order[place] != place
        ]
        yield f"the label order is another: {', '.join(moved[:4])} stand elsewhere"


_RULES: dict[str, tuple[Callable[[Difference], Iterator[str]], ...]] = {
    "pixels": (channel_order,),
    "view": (channel_order, resize_filter),
    "tensor": (channel_order, normalisation),
    "features": (weights,),
    "outputs": (label_order, activation),
    "answers": (),
}
"""What is asked of each stage, the surest first."""


def _levels(tensor: NDArray[Any], kind: Preprocessing) -> NDArray[np.float64]:
    """Return a normalised tensor (n, 3, height, width) as shares of light, channels last."""
    mean, std = (np.array(one).reshape(1, 3, 1, 1) for one in (kind.mean, kind.std))
    shares: NDArray[np.float64] = np.moveaxis(tensor * std + mean, 1, -1)
    return shares


def _nearer(mended: NDArray[Any], before: NDArray[Any], wanted: NDArray[Any]) -> bool:
    """Return whether what is mended is near what is wanted, as it was not before."""
    mended, before, wanted = (np.asarray(one, np.float64) for one in (mended, before, wanted))
    apart = np.abs(before - wanted).mean()
    return bool(apart > 0 and np.abs(mended - wanted).mean() <= _NEAR * apart)


def _explains(
    difference: Difference, mended: NDArray[Any], *, of: NDArray[Any] | None = None
) -> bool:
    """Return whether what is mended is near the trained model's numbers, as it was not before."""
    wanted = difference.trained if of is None else of
    before = difference.exported.astype(np.float64)
    if of is not None:  # What is there twice is as it is: the wrong numbers are what is wanted.
        return _nearer(before, difference.trained, wanted)
    return _nearer(mended.reshape(wanted.shape), before, wanted)


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
