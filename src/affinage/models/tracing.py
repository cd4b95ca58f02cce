"""One image through a model, without computing it: what each layer gives, costs and sees."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from affinage.models.field_rules import Call, field_after, is_pointwise, starting_field
from affinage.models.receptive_field import Field


@dataclass(slots=True, kw_only=True)
class Traced:
    """One layer, as it was seen at work.

    Attributes:
        name: Full name within the model; empty for what the model does itself.
        module: The layer.
        output: Shape of what it gives for one image, without the image's dimension.
        multiply_adds: Of convolutions and products of matrices that it does itself.
        sees: What of the image a place of its output depends on.
        resized: True where it gives another shape than it takes.
        calls: How often it was used.
    """

    name: str
    module: nn.Module
    output: tuple[int, ...] = ()
    multiply_adds: int = 0
    sees: Field = None
    resized: bool = False
    calls: int = 0


def trace(model: nn.Module, *, height: int, width: int) -> tuple[Traced, ...]:
    """Return the layers of a model that work on images, in the order of their work.

    The model is put on torch's `meta` device, where tensors have shapes and no numbers: it is of no
    further use. A layer is listed where it has weights or statistics of its own, multiplies, or
    changes the shape; one that is never used comes last, with no output.

    Args:
        model: From uint8 images (n, height, width, 3); in evaluation mode.
        height: Of the images, pixels.
        width: Of the images, pixels.
    """
    model.to("meta").eval()
    images = torch.empty((1, height, width, 3), dtype=torch.uint8, device="meta")
    tracer = _Tracer(model, images)
    with torch.no_grad(), tracer.hooked(), tracer:
        model(images)
    return tracer.layers()


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every operation: which layer does it, at what cost, on what part of the image."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._model = model
        self._rows = {
            module: Traced(name=name, module=module) for name, module in model.named_modules()
        }
        self._stack: list[nn.Module] = []
        self._fields: dict[int, tuple[Tensor, Field]] = {}
        self._order: dict[nn.Module, int] = {}
        self._remember(images, starting_field(images))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        given = tuple(_tensors((*args, *(kwargs or {}).values())))
        results = tuple(_tensors((out,)))
        if not results:
            return out
        name = func.overloadpacket.__name__
        call = Call(
            name=name,
            pointwise=is_pointwise(func),
            arguments=_ordered(func, args, kwargs or {}),
            inputs=given,
            fields=tuple(self._field(one) for one in given),
            output=results[0],
        )
        after = field_after(call)
        for one in results:
            self._remember(one, after)
        self._charge(multiply_adds(call), results[0], after)
        return out

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Know which layer is at work."""
        with ExitStack() as hooks:
            for module in self._rows:
                hooks.enter_context(_removed(module.register_forward_pre_hook(self._enter)))
                hooks.enter_context(_removed(module.register_forward_hook(self._leave)))
            yield

    def layers(self) -> tuple[Traced, ...]:
        """Return what is worth a row: what was at work in its order, then what never was."""
        used = [self._rows[module] for module in sorted(self._order, key=self._order.__getitem__)]
        idle = [row for module, row in self._rows.items() if module not in self._order]
        return tuple(row for row in (*used, *idle) if _worth_a_row(row))

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._stack.append(module)

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._stack.pop()
        row, results = self._rows[module], tuple(_tensors((output,)))
        if not results:
            return
        row.calls += 1
        taken = next(_tensors(inputs), None)
        if taken is not None and not [*module.children()]:
            row.resized = taken.shape[1:] != results[0].shape[1:]
        if module is not self._model:
            row.output, row.sees = _shape(results[0]), self._field(results[0])
        self._order.setdefault(module, len(self._order))

    def _charge(self, cost: int, output: Tensor, sees: Field) -> None:
        if not cost:
            return
        module = self._stack[-1] if self._stack else self._model
        row = self._rows[module]
        row.multiply_adds += cost
        row.output, row.sees = _shape(output), sees
        self._order.setdefault(module, len(self._order))

    def _remember(self, tensor: Tensor, seen: Field) -> None:
        self._fields[id(tensor)] = (tensor, seen)  # Kept alive, so that no other takes its id.

    def _field(self, tensor: Tensor) -> Field:
        return self._fields.get(id(tensor), (tensor, None))[1]


def multiply_adds(call: Call) -> int:
    """Return the multiplications, each with its addition, of an operation.

    Convolutions, products of matrices and attention count; biases, norms, activations and pooling,
    which are few beside them, do not.
    """
    shapes = [one.shape for one in call.inputs]
    match call.name:
        case "convolution":
            transposed = call.argument(6, otherwise=False)
            places = call.inputs[0].numel() if transposed else call.output.numel()
            return places * prod(shapes[1][1:])
        case "mm" | "bmm":
            return call.output.numel() * shapes[0][-1]
        case "addmm" | "baddbmm":
            return call.output.numel() * shapes[1][-1]
        case "mv":
            return shapes[0].numel()
        case name if name.startswith("_scaled_dot_product"):
            query, key, value = shapes[:3]
            return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    return 0


def _worth_a_row(row: Traced) -> bool:
    own = next(row.module.parameters(recurse=False), None) is not None
    kept = next(row.module.buffers(recurse=False), None) is not None and isinstance(
        row.module, nn.modules.batchnorm._BatchNorm
    )
    return bool(own or kept or row.multiply_adds or row.resized)


def _ordered(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments in the order of the schema, those by name among them."""
    names = [argument.name for argument in func._schema.arguments]
    known = dict(zip(names, args, strict=False)) | kwargs
    defaults = {argument.name: argument.default_value for argument in func._schema.arguments}
    return tuple(known.get(name, defaults[name]) for name in names)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values if isinstance(values, list | tuple) else (values,):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape[1:])


@contextmanager
def _removed(hook: Any) -> Iterator[None]:
    try:
        yield
    finally:
        hook.remove()
