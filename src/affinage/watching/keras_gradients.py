"""Gradients of a Keras network on a probe batch: its own steps hide theirs from callbacks."""

import contextlib
import importlib
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.watching.keras_facts import flat_layers

IMAGES = 8
"""Of a probe: enough for the size of a gradient, few enough to cost little."""

SHARE = 0.01
"""Of the training's time that probes may take; the first one is taken whatever it costs."""


@dataclass(slots=True)
class GradientProbe:
    """Looks at gradients now and then, as often as it can be afforded.

    Attributes:
        images: The batch.
        targets: Its targets, as the loss takes them.
    """

    images: NDArray[Any]
    targets: NDArray[Any]
    _begun: float = field(default_factory=time.perf_counter)
    _spent: float = 0.0
    _cost: float = 0.0
    _failed: bool = False

    def look(self, model: Any) -> dict[str, float]:
        """Return the norm of each layer's gradient, or nothing where it is not the time for it."""
        now = time.perf_counter()
        dear = self._spent + self._cost > SHARE * (now - self._begun)
        if self._failed or (self._spent and dear):
            return {}
        found = gradient_norms(model, self.images, self.targets)
        self._cost = time.perf_counter() - now
        self._spent += self._cost
        self._failed = found is None
        return found or {}


def gradient_norms(
    model: Any, images: NDArray[Any], targets: NDArray[Any]
) -> dict[str, float] | None:
    """Return the norm of the gradient of each trainable layer's weights, by the layer's name.

    The loss is the one that the model was compiled with, the pass one of evaluation, so that neither
    BatchNorm's statistics nor the state of random numbers changes: beside a step's own gradient,
    dropout is missing and BatchNorm uses its moving statistics.

    Args:
        model: A built and compiled network with one output.
        images: A batch as the network takes it.
        targets: As the loss takes them.

    Returns:
        None where the backend is not TensorFlow or PyTorch, or the network is not of the usual kind.
    """
    keras: Any = importlib.import_module("keras")
    ways = {"tensorflow": _by_tensorflow, "torch": _by_torch}
    way = ways.get(keras.backend.backend())
    weights = [
        (layer.name, weight) for layer in flat_layers(model) for weight in layer.trainable_weights
    ]
    if (
        way is None
        or not weights
        or not model.built
        or len(getattr(model, "outputs", None) or [None]) != 1
    ):
        return None
    with contextlib.suppress(Exception):  # Of anyone's network and loss.
        found = way(model, images, targets, [weight for _, weight in weights])
        squares: dict[str, float] = {}
        for (layer, _), gradient in zip(weights, found, strict=True):
            if gradient is not None:
                values = np.asarray(keras.ops.convert_to_numpy(gradient), dtype=np.float64)
                squares[layer] = squares.get(layer, 0.0) + float((values**2).sum())
        return {layer: float(np.sqrt(square)) for layer, square in squares.items()}
    return None


def _by_tensorflow(
    model: Any, images: NDArray[Any], targets: NDArray[Any], weights: list[Any]
) -> list[Any]:
    tensorflow: Any = importlib.import_module("tensorflow")
    with tensorflow.GradientTape() as tape:
        loss = _loss(model, images, targets)
    found: list[Any] = tape.gradient(loss, [weight.value for weight in weights])
    return found


def _by_torch(
    model: Any, images: NDArray[Any], targets: NDArray[Any], weights: list[Any]
) -> list[Any]:
    torch: Any = importlib.import_module("torch")
    loss = _loss(model, images, targets)
    return list(torch.autograd.grad(loss, [weight.value for weight in weights], allow_unused=True))


def _loss(model: Any, images: NDArray[Any], targets: NDArray[Any]) -> Any:
    keras: Any = importlib.import_module("keras")
    outputs = model(keras.ops.convert_to_tensor(images), training=False)
    wanted = keras.ops.convert_to_tensor(targets)
    return model.compute_loss(x=images, y=wanted, y_pred=outputs, training=False)
