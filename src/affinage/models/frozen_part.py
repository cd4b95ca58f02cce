"""The frozen part before the first trained layer, and a model that runs on its kept output."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from affinage.models.classifier import Classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenPart:
    """Modules that nothing trains, in the order of their work, up to the last before a trained one.

    Attributes:
        modules: Each is called once, and gives one tensor.
        shapes: Of what each gives for one image.
        axes: Dimensions of what the last one gives, from the outermost in memory to the innermost.
        dtype: Of that.
    """

    modules: tuple[nn.Module, ...]
    shapes: tuple[torch.Size, ...]
    axes: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes_per_image(self) -> int:
        """Of what the last module gives."""
        return self.shapes[-1].numel() * self.dtype.itemsize


def find_frozen_part(model: Classifier, images: Tensor) -> FrozenPart | None:
    """Return the part of a model that gives the same for the same images in every step; None without.

    A module belongs to it where nothing in it is trained or in training mode (dropout, BatchNorm of
    batches), it is called once, and only such ones are called before it. Whether what follows depends
    on the last one alone is not asked here: see `difference`.

    Args:
        model: In the modes of a training step.
        images: uint8, shape (n, height, width, 3), n at least 2.
    """
    calls = _calls(model, images)
    until = next(
        (place for place, call in enumerate(calls) if not _is_still(call.module)), len(calls)
    )
    times = {id(call.module): 0 for call in calls}
    for call in calls:
        times[id(call.module)] += 1
    found = [
        call
        for call in calls[:until]
        if times[id(call.module)] == 1 and _per_image(call.result, len(images))
    ]
    if not found:
        return None
    last = found[-1].result
    return FrozenPart(
        modules=tuple(call.module for call in found),
        shapes=tuple(call.result.shape[1:] for call in found),
        axes=_axes(last),
        dtype=last.dtype,
    )


@dataclass(frozen=True, slots=True)
class _Call:
    module: nn.Module
    result: Any


def _calls(model: Classifier, images: Tensor) -> list[_Call]:
    """Return the calls of outermost still modules, and of layers that are not still, in their order."""
    calls: list[_Call] = []
    inside: list[nn.Module] = []

    def before(module: nn.Module, _: Any) -> None:
        if inside:
            return
        if _is_still(module):
            inside.append(module)
        elif _works_itself(module):
            calls.append(_Call(module, None))

    def after(module: nn.Module, _: Any, result: Any) -> None:
        if inside and inside[-1] is module:
            inside.pop()
            calls.append(_Call(module, result))

    with contextlib.ExitStack() as hooks, _undisturbed(model):
        for module in model.modules():
            hooks.callback(module.register_forward_pre_hook(before).remove)
            hooks.callback(module.register_forward_hook(after).remove)
        model(images)
    return calls


@contextlib.contextmanager
def _undisturbed(model: Classifier) -> Iterator[None]:
    """Leave statistics and random numbers as they are, and compute no gradients."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            yield
        finally:
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _is_still(module: nn.Module) -> bool:
    """Return whether it gives the same for the same in every step."""
    trained = any(parameter.requires_grad for parameter in module.parameters())
    return not trained and not any(part.training for part in module.modules())


def _works_itself(module: nn.Module) -> bool:
    own = any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    return own or next(module.children(), None) is None


def _per_image(result: Any, images: int) -> bool:
    return isinstance(result, Tensor) and result.ndim > 1 and len(result) == images


def _axes(tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions by stride, the images' first: how it lies in memory."""
    strides = tensor.stride()
    others = sorted(range(1, tensor.ndim), key=lambda axis: (-strides[axis], axis))
    return (0, *others)


class _Reached(Exception):  # noqa: N818 - it is no error, but ends a pass where it has done its work.
    pass


def frozen_output(model: Classifier, part: FrozenPart, images: Tensor) -> Tensor:
    """Return what the frozen part gives, as it lies in memory; nothing after it is computed.

    Args:
        model: In the modes of a training step.
        part: Of it.
        images: uint8, shape (n, height, width, 3).

    Returns:
        Contiguous, its dimensions in the order of `part.axes`.
    """
    found: list[Tensor] = []

    def stop(_: nn.Module, __: Any, result: Tensor) -> None:
        found.append(result)
        raise _Reached

    handle = part.modules[-1].register_forward_hook(stop)
    try:
        with torch.no_grad(), contextlib.suppress(_Reached):
            model(images)
    finally:
        handle.remove()
    return found[0].permute(part.axes).contiguous()


@contextlib.contextmanager
def in_place_of(
    model: Classifier,
    part: FrozenPart,
    kept: Tensor,
    *,
    real: Callable[[float], None] | None = None,
) -> Iterator[None]:
    """Let the frozen part give what was kept of these images, whatever images the model is shown.

    Args:
        model: Whose forward passes in the block are of these images.
        part: Of it.
        kept: As `frozen_output` gave it, shape (n, ...).
        real: None: nothing before is computed, and layers in it are not called. Else they are, on the
            images shown, for those who look at them; it is told the seconds that took. What comes after
            gets what was kept all the same.
    """
    shown = kept.permute([part.axes.index(axis) for axis in range(kept.ndim)])
    with contextlib.ExitStack() as stack:
        if real is not None:
            stack.enter_context(_gives(part.modules[-1], _after_all(part, shown, real)))
        else:
            for module, shape in zip(part.modules[:-1], part.shapes[:-1], strict=True):
                blank = shown.new_zeros(()).expand(len(kept), *shape)
                stack.enter_context(_gives(module, _always(blank)))
            stack.enter_context(_gives(part.modules[-1], _always(shown)))
            stack.enter_context(_unseen(model, shown))
        yield


def _always(result: Tensor) -> Callable[..., Tensor]:
    return lambda *_, **__: result


def _after_all(
    part: FrozenPart, shown: Tensor, tell: Callable[[float], None]
) -> Callable[..., Tensor]:
    own, begun = part.modules[-1].forward, time.perf_counter()

    def forward(*args: Any, **options: Any) -> Tensor:
        own(*args, **options)
        tell(time.perf_counter() - begun)
        return shown

    return forward


@contextlib.contextmanager
def _gives(module: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Replace what a module does; its hooks see what it gives instead."""
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own


@contextlib.contextmanager
def _unseen(model: Classifier, like: Tensor) -> Iterator[None]:
    """Let the model not look at the images either: only their number and size count."""

    def blank(images: Tensor) -> Tensor:
        count, height, width = images.shape[:3]
        return like.new_zeros(()).expand(count, 3, height, width)

    model.normalise = blank  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.normalise


def difference(model: Classifier, part: FrozenPart, images: Tensor, *, batch: int) -> float:
    """Return how far features with the frozen part computed and with its kept output are apart.

    Features and not outputs: a fresh head gives zeros whatever it sees.

    Everything before the last frozen module gives zeros in the second pass, so a path around it shows
    as a large difference.

    Args:
        model: In the modes of a training step.
        part: Of it.
        images: uint8, shape (n, height, width, 3): what is kept is computed of all of them together.
        batch: How many of them the model is then shown.

    Returns:
        The largest difference, relative to the largest feature; 0 where they are the same bits.

    Raises:
        RuntimeError: Where the model cannot compute without what it skips.
    """
    kept = frozen_output(model, part, images)[:batch]
    images = images[:batch]
    blank = images.new_zeros(()).expand(images.shape)
    with _undisturbed(model):
        whole = model.features(images).float()
    with _undisturbed(model), in_place_of(model, part, kept):
        short = model.features(blank).float()
    return float((whole - short).abs().max() / whole.abs().max().clamp_min(1e-12))
