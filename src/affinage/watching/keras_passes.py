"""Outputs of a Keras network for images in memory, without building a graph for them."""

import contextlib
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 128
_EAGER = {"tensorflow", "torch"}
"""Backends that compute as they are called; another one would compile each operation by itself."""


def passed(model: Any, images: NDArray[Any]) -> NDArray[Any]:
    """Return a network's outputs in evaluation mode, shape (n, …).

    Args:
        model: With one output.
        images: As the network takes them.
    """
    (outputs,) = passes(model, images)
    return outputs


def passes(model: Any, images: NDArray[Any]) -> list[NDArray[Any]]:
    """Return every output of a network in evaluation mode, each of shape (n, …).

    `predict` would build a graph first, which takes longer than a pass of a few hundred images.
    """
    keras: Any = importlib.import_module("keras")
    if keras.backend.backend() not in _EAGER:
        return _listed(model.predict(images, verbose=0))
    found = []
    with _without_gradients(keras):
        for start in range(0, len(images), _AT_ONCE):
            piece = keras.ops.convert_to_tensor(images[start : start + _AT_ONCE])
            outputs = _listed(model(piece, training=False))
            found.append([np.asarray(keras.ops.convert_to_numpy(each)) for each in outputs])
    return [np.concatenate(pieces) for pieces in zip(*found, strict=True)]


def _without_gradients(keras: Any) -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() == "torch":
        no_grad: contextlib.AbstractContextManager[Any] = importlib.import_module("torch").no_grad()
        return no_grad
    return contextlib.nullcontext()


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
