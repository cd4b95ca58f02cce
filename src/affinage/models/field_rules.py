"""How each of torch's operations changes what part of the image its result depends on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from affinage.models.receptive_field import (
    UNKNOWN,
    WHOLE,
    Field,
    Part,
    Span,
    reshaped,
    union,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation as torch carries it out.

    Attributes:
        name: Such as `convolution`.
        pointwise: True where torch says that it works place by place.
        arguments: In the order of its schema.
        inputs: Its tensors, those in lists too.
        fields: Of each input.
        output: The first tensor that it gives.
    """

    name: str
    pointwise: bool
    arguments: tuple[Any, ...]
    inputs: tuple[Tensor, ...]
    fields: tuple[Field, ...]
    output: Tensor

    @property
    def part(self) -> Part:
        """Field of the first input."""
        field = self.fields[0]
        assert isinstance(field, Part)
        return field

    def argument(self, position: int, otherwise: Any = None) -> Any:
        """Return an argument, or what stands for one that was not given."""
        return self.arguments[position] if len(self.arguments) > position else otherwise


Rule = Callable[[Call], Field]


def field_after(call: Call) -> Field:
    """Return the field of an operation's result.

    What depends on the whole image stays so. An operation that is not known, or that mixes places
    in a way no window describes, gives `UNKNOWN`; a vector for a whole image, or a product of two
    tensors that both follow it (attention), is `WHOLE`.
    """
    seen = [field for field in call.fields if field is not None]
    if not seen or call.name in _FRESH:
        return None
    if WHOLE in seen or UNKNOWN in seen:
        return WHOLE if WHOLE in seen or _one_vector(call.output) else UNKNOWN
    rule = _RULES.get(call.name if call.name in _RULES else call.name.rstrip("_"))
    if rule is not None and isinstance(call.fields[0], Part):
        return rule(call)
    many = _RULES_OF_MANY.get(call.name, _pointwise if call.pointwise else None)
    return many(call) if many is not None else UNKNOWN


def _one_vector(output: Tensor) -> bool:
    return output.ndim <= 2 and len(output) == 1


def _pointwise(call: Call) -> Field:
    return union(call.fields, [one.shape for one in call.inputs], call.output.shape)


def _window(call: Call, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any) -> Field:
    part = call.part
    if part.dims[-2:] != ("y", "x"):
        return UNKNOWN
    (ky, kx), (sy, sx), (py, px), (dy, dx) = map(_pair, (kernel, stride, padding, dilation))
    return replace(
        part,
        y=part.y.window(kernel=ky, stride=sy, padding=py, dilation=dy),
        x=part.x.window(kernel=kx, stride=sx, padding=px, dilation=dx),
    )


def _convolution(call: Call) -> Field:
    weight, transposed = call.arguments[1], call.argument(6, otherwise=False)
    if transposed or weight.ndim != 4:
        return UNKNOWN
    return _window(call, weight.shape[2:], *call.arguments[3:6])


def _max_pool(call: Call) -> Field:
    kernel = call.arguments[1]
    stride = call.argument(2) or kernel
    return _window(call, kernel, stride, call.argument(3, 0), call.argument(4, 1))


def _average_pool(call: Call) -> Field:
    kernel = call.arguments[1]
    return _window(call, kernel, call.argument(2) or kernel, call.argument(3, 0), 1)


def _adaptive_pool(call: Call) -> Field:
    height, width = call.inputs[0].shape[-2:]
    rows, columns = call.output.shape[-2:]
    if (rows, columns) == (1, 1):
        return WHOLE
    if height % rows or width % columns:
        return UNKNOWN
    kernel = (height // rows, width // columns)
    return _window(call, kernel, kernel, 0, 1)


def _reduction(call: Call) -> Field:
    part, given = call.part, call.argument(1)
    if isinstance(given, int):
        given = [given]
    every = range(len(part.dims))
    gone = {dim % len(part.dims) for dim in given} if isinstance(given, list | tuple) else {*every}
    if part.along_image([*gone]):
        return WHOLE
    if call.output.ndim == len(part.dims):
        return part
    return replace(part, dims=tuple(part.dims[dim] for dim in every if dim not in gone))


def _softmax(call: Call) -> Field:
    return WHOLE if call.part.along_image([call.arguments[1]]) else call.part


def _layer_norm(call: Call) -> Field:
    last = range(-len(call.arguments[1]), 0)
    return WHOLE if call.part.along_image(last) else call.part


def _same(call: Call) -> Field:
    return call.part


def _reshape(call: Call) -> Field:
    return reshaped(call.part, call.inputs[0].shape, call.output.shape)


def _unsqueeze(call: Call) -> Field:
    dims = [*call.part.dims]
    dims.insert(call.arguments[1] % (len(dims) + 1), "")
    return replace(call.part, dims=tuple(dims))


def _permute(call: Call) -> Field:
    return replace(call.part, dims=tuple(call.part.dims[dim] for dim in call.arguments[1]))


def _transpose(call: Call) -> Field:
    dims = [*call.part.dims]
    first, second = call.arguments[1:3] if len(call.arguments) > 2 else (0, 1)
    if len(dims) > 1:
        dims[first], dims[second] = dims[second], dims[first]
    return replace(call.part, dims=tuple(dims))


def _expand(call: Call) -> Field:
    return union(call.fields[:1], [call.inputs[0].shape], call.output.shape)


def _slice(call: Call) -> Field:
    part = call.part
    dim = call.argument(1, 0) % len(part.dims)
    length = call.inputs[0].shape[dim]
    start, step = call.argument(2) or 0, call.argument(4, 1)
    start = min(start + length if start < 0 else start, length)
    match part.dims[dim]:
        case "":
            return part
        case "y":
            return replace(part, y=part.y.shifted(start, step))
        case "x":
            return replace(part, x=part.x.shifted(start, step))
    return part if call.output.shape[dim] == length else replace(part, row=0)


def _select(call: Call) -> Field:
    part, dim = call.part, call.arguments[1] % len(call.part.dims)
    if part.dims[dim] and call.inputs[0].shape[dim] > 1:
        return UNKNOWN
    return replace(part, dims=part.dims[:dim] + part.dims[dim + 1 :])


def _split(call: Call) -> Field:
    dim = call.argument(2, 0) % len(call.part.dims)
    return UNKNOWN if call.part.dims[dim] else call.part


def _unbind(call: Call) -> Field:
    dim = call.argument(1, 0) % len(call.part.dims)
    if call.part.dims[dim]:
        return UNKNOWN
    return replace(call.part, dims=call.part.dims[:dim] + call.part.dims[dim + 1 :])


def _pad(call: Call) -> Field:
    part, amounts = call.part, [*call.arguments[1]]
    for place, before in enumerate(amounts[::2]):
        dim = len(part.dims) - 1 - place
        match part.dims[dim]:
            case "y":
                part = replace(part, y=part.y.shifted(-before))
            case "x":
                part = replace(part, x=part.x.shifted(-before))
            case "":
                continue
            case _ if before or amounts[2 * place + 1]:
                return UNKNOWN
    return part


def _cat(call: Call) -> Field:
    """Channels side by side are computed place by place; tokens beside tokens only follow theirs."""
    dim = call.argument(1, 0)
    parts = [field for field in call.fields if isinstance(field, Part)]
    dim %= call.output.ndim
    if parts[0].dims[dim] == "yx" and len(parts) == 1:
        return replace(parts[0], row=0)
    if any(part.dims[dim] for part in parts):
        return UNKNOWN
    shapes = [[*one.shape[:dim], 1, *one.shape[dim + 1 :]] for one in call.inputs]
    out = [*call.output.shape[:dim], 1, *call.output.shape[dim + 1 :]]
    return union(call.fields, shapes, out)


_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}
"""Positions of the two matrices among the inputs."""


def _product(call: Call) -> Field:
    """Return the field of a product of matrices; of two that both follow the image, all of it."""
    left, right = (call.fields[place] for place in _PRODUCTS[call.name])
    if isinstance(left, Part) and right is None:
        return WHOLE if left.dims[-1] else left
    if isinstance(right, Part) and left is None:
        return WHOLE if right.dims[-2] else right
    return WHOLE


_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "var", "var_mean", "std", "linalg_vector_norm", "cumsum"),
        _reduction,
    ),
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    "native_layer_norm": _layer_norm,
    "native_group_norm": lambda _: WHOLE,
    **dict.fromkeys(
        (
            "native_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update",
            "cudnn_batch_norm", "clone", "_to_copy", "detach", "alias", "lift_fresh", "contiguous",
            "native_dropout", "resolve_conj",
        ),
        _same,
    ),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze"), _reshape),
    "unsqueeze": _unsqueeze,
    "permute": _permute,
    **dict.fromkeys(("transpose", "t"), _transpose),
    "expand": _expand,
    "slice": _slice,
    "select": _select,
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    "unbind": _unbind,
    **dict.fromkeys(("constant_pad_nd", "replication_pad2d", "reflection_pad2d"), _pad),
}  # fmt: skip

_RULES_OF_MANY: dict[str, Rule] = {"cat": _cat, **dict.fromkeys(_PRODUCTS, _product)}
"""Of operations in which the first tensor need not be the one that depends on the image."""

_FRESH = frozenset(
    (
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
    )
)
"""They take a tensor's shape and nothing of its numbers."""


def starting_field(images: Tensor) -> Part:
    """Return the field of images, shape (n, height, width, channels): each place sees itself."""
    return Part(dims=("", "y", "x", ""), y=Span(), x=Span(), row=int(images.shape[2]))


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    numbers = [*value] * (2 if len(value) == 1 else 1)
    return int(numbers[0]), int(numbers[1])


def is_pointwise(operation: Any) -> bool:
    """Return whether torch says that an operation works place by place."""
    return torch.Tag.pointwise in operation.tags
