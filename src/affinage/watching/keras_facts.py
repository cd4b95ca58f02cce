"""What a Keras model says of itself: layers, loss, optimizer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.records.training_facts import BatchNorm, Layer, Objective, Optimizer

_LOSSES = {
    "mean_squared_error": "mse_loss", "mse": "mse_loss", "mean_absolute_error": "l1_loss",
    "mae": "l1_loss", "huber": "huber_loss", "poisson": "poisson_nll_loss",
    "kl_divergence": "kl_div", "kullback_leibler_divergence": "kl_div",
}  # fmt: skip
_CATEGORICAL = {"categorical_crossentropy", "sparse_categorical_crossentropy"}
_ACTIVATIONS = {"linear": "none", "exponential": "exp", "log_softmax": "log_softmax"}
_SETTINGS = {
    "rate": "p",
    "units": "out_features",
    "filters": "out_channels",
    "momentum": "momentum",
}


def flat_layers(model: Any) -> Iterator[Any]:
    """Yield all layers, those of models within the model too."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from flat_layers(layer)
        else:
            yield layer


def layers_of(model: Any) -> tuple[Layer, ...]:
    """Return all layers in order."""
    return tuple(each for layer in flat_layers(model) for each in _with_activation(layer))


def _with_activation(layer: Any) -> Iterator[Layer]:
    """Yield a layer, and after it the activation that it applies by itself, where it is none of its own."""
    yield Layer(
        name=layer.name,
        kind=type(layer).__name__,
        parameters=_numbers(layer.weights),
        trainable=_numbers(layer.trainable_weights),
        optimized=_numbers(layer.trainable_weights),
        settings={
            new: float(value)
            for old, new in _SETTINGS.items()
            if isinstance(value := getattr(layer, old, None), int | float)
        }
        or None,
    )
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if layer.weights and activation != "linear":
        yield Layer(name=f"{layer.name} > {activation}", kind=activation, parameters=0, trainable=0,
                    optimized=0)  # fmt: skip


def shows_functions(model: Any) -> bool:
    """Return whether all that the model computes is in its layers: not where it has a `call` of its own."""
    if type(model).__name__ == "Sequential":
        return True
    operations = getattr(model, "operations", None)
    return operations is not None and len(operations) == len(model.layers)


def equal_units(arrays: list[NDArray[Any]]) -> float:
    """Return the share of units, the last axis of a kernel, that have the weights of the first one."""
    kernel = arrays[0]
    if kernel.ndim < 2 or kernel.shape[-1] < 2:
        return 0.0
    units = kernel.reshape(-1, kernel.shape[-1])
    alike = bool((units[:, 0] == units[:, 1]).all())
    return float((units == units[:, :1]).all(0).mean()) if alike else 0.0


def _numbers(weights: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in weights))


def batchnorms_of(model: Any, steps: int) -> tuple[BatchNorm, ...]:
    """Return every BatchNorm: Keras normalises by the batch where, and only where, it is trainable."""
    trained = False
    found: list[BatchNorm] = []
    for layer in flat_layers(model):
        trained = trained or bool(layer.trainable_weights)
        if type(layer).__name__ == "BatchNormalization":
            found.append(
                BatchNorm(
                    name=layer.name, steps=steps, steps_by_batch=steps if layer.trainable else 0,
                    trainable=bool(layer.trainable), below_frozen=not trained,
                )
            )  # fmt: skip
    return tuple(found)


def activation_of(model: Any) -> str:
    """Return what makes the outputs, in words of torch."""
    if not shows_functions(model):
        return "unknown"  # Its layers are listed as they were made, not as they compute.
    last = list(flat_layers(model))[-1]
    kind = type(last).__name__.lower()
    if kind in {"softmax", "relu"}:
        return kind
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", "linear" if activation is None else "unknown")
    return _ACTIVATIONS.get(name, name)


def loss_of(model: Any) -> Objective:
    """Return the loss, in words of torch.

    A cross-entropy of probabilities that a softmax made is `cross_entropy` of raw outputs there; of
    outputs that nothing made probabilities of, it is `nll_loss` of what they are.
    """
    loss = getattr(model, "loss", None)
    name = (
        loss
        if isinstance(loss, str)
        else getattr(loss, "name", getattr(loss, "__name__", "unknown"))
    )
    name = _snake(str(name))
    from_logits = bool(getattr(loss, "_fn_kwargs", {}).get("from_logits", False))
    activation, shape = activation_of(model), getattr(model, "output_shape", None)
    width = shape[-1] if isinstance(shape, tuple) and isinstance(shape[-1], int) else None
    if name in _CATEGORICAL:
        fused = not from_logits and activation == "softmax"
        known = "cross_entropy" if fused or from_logits else "nll_loss"
        activation = "none" if fused else activation
        from_logits = known == "cross_entropy"
    elif name == "binary_crossentropy":
        known = "binary_cross_entropy" + ("_with_logits" if from_logits else "")
    else:
        known = _LOSSES.get(name, "unknown")
    return Objective(name=known, activation=activation, outputs=width, from_logits=from_logits)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def optimizer_of(model: Any, steps: int, rate: float | None) -> Optimizer | None:
    """Return the optimizer; Keras zeroes gradients by itself."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return None
    names = {"epsilon": "eps", "beta_1": "beta1", "beta_2": "beta2", "rho": "alpha"}
    momentum = getattr(optimizer, "momentum", None)
    return Optimizer(
        name=type(optimizer).__name__,
        learning_rates=(rate,) if rate is not None else (),
        weight_decays=(float(getattr(optimizer, "weight_decay", 0.0) or 0.0),),
        momentum=float(momentum) if isinstance(momentum, int | float) else None,
        settings={
            new: float(value)
            for old, new in names.items()
            if isinstance(value := getattr(optimizer, old, None), int | float)
        }
        or None,
        steps=steps,
        backwards_per_step=1.0,
        zeroed_share=1.0,
    )
