"""What the graph of gradients tells: which loss it was, and what made its input."""

from typing import Any

from torch import Tensor

_THROUGH = (
    "View", "Reshape", "UnsafeView", "Squeeze", "Unsqueeze", "Clone", "ToCopy", "Permute", "Transpose",
    "T", "Select", "Slice", "Expand", "Alias", "Clamp", "Cat", "Stack", "Contiguous", "Split", "Unbind",
    "Index",
)  # fmt: skip
_ACTIVATIONS = {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Relu": "relu",
    "Threshold": "relu", "Softplus": "softplus", "Tanh": "tanh", "Exp": "exp", "LogSigmoid": "log_sigmoid",
}  # fmt: skip
_LOSSES = {
    "NllLoss": "nll_loss", "NllLoss2D": "nll_loss", "MseLoss": "mse_loss",
    "SmoothL1Loss": "smooth_l1_loss", "HuberLoss": "huber_loss",
    "BinaryCrossEntropy": "binary_cross_entropy",
    "BinaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
}  # fmt: skip
_REACH = 12


def activation_of(outputs: Tensor) -> str:
    """Return what made a tensor, by the graph of its gradient.

    Returns:
        `softmax`, `log_softmax`, `sigmoid`, `relu`, `softplus`, `tanh`, `exp`, `none`; or `unknown`
        where it has no gradient.
    """
    return _activation(outputs.grad_fn)


def _activation(node: Any) -> str:
    for _ in range(_REACH):
        if node is None:
            return "unknown"
        kind = _kind(node)
        if kind == "Log":
            inner = _activation(_first(node))
            return f"log_{inner}" if inner in {"softmax", "sigmoid"} else "none"
        if kind not in _THROUGH:
            return _ACTIVATIONS.get(kind, "none")
        node = _first(node)
    return "unknown"


def loss_of(loss: Tensor) -> tuple[str, str]:
    """Return the name of a loss and what made its input, by the graph alone.

    A mean or sum of squared differences is an `mse_loss`, one of absolute differences an `l1_loss`.
    """
    node: Any = loss.grad_fn
    for _ in range(_REACH):
        if node is None:
            break
        kind = _kind(node)
        if kind in _LOSSES:
            activation = _activation(_first(node))
            if kind.startswith("NllLoss") and _kind(_first(node)) == "LogSoftmax":
                return "cross_entropy", _activation(_first(_first(node)))
            return _LOSSES[kind], activation
        if kind in {"Pow", "Abs"} and _kind(_first(node)) in {"Sub", "Rsub"}:
            name = "mse_loss" if kind == "Pow" else "l1_loss"
            return name, _activation(_first(_first(node)))
        node = _first(node)
    return "unknown", "unknown"


def _kind(node: Any) -> str:
    return type(node).__name__.split("Backward")[0] if node is not None else ""


def _first(node: Any) -> Any:
    following = getattr(node, "next_functions", ())
    return next((each for each, _ in following if each is not None), None)
