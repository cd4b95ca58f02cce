"""What part of the image a place of a tensor depends on, and how operations change that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Pixels along one axis: place i depends on `start + jump * i` and the `size - 1` after it."""

    start: int = 0
    jump: int = 1
    size: int = 1

    def window(self, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> "Span":
        """Return the span after a window has slid over the places.

        Source:
            Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016; Araujo et
            al., Computing receptive fields of convolutional neural networks, 2019.
        """
        return Span(
            start=self.start - padding * self.jump,
            jump=self.jump * stride,
            size=self.size + (kernel - 1) * dilation * self.jump,
        )

    def shifted(self, places: int, step: int = 1) -> "Span":
        """Return the span where place 0 is what place `places` was, and every `step`-th is kept."""
        return replace(self, start=self.start + places * self.jump, jump=self.jump * step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tensor whose places depend on parts of the image.

    Attributes:
        dims: What each dimension goes along: `y` or `x` of the image, `yx` both (tokens), `mixed`
            with channels; empty for none of these.
        y: Rows of the image.
        x: Columns of the image.
        row: How many places make a row where `yx` can be split again, else 0.
    """

    dims: tuple[str, ...]
    y: Span = Span()
    x: Span = Span()
    row: int = 0

    def along_image(self, dims: Sequence[int]) -> bool:
        """True where one of these dimensions goes along the image."""
        return any(self.dims[dim] for dim in dims)


WHOLE, UNKNOWN = "whole", "unknown"
"""Fields that no window describes: all of the image; a part that was not followed."""

Field = Part | str | None
"""None: it depends on no pixel, such as a weight."""


def union(fields: Sequence[Field], shapes: Sequence[Sequence[int]], out: Sequence[int]) -> Field:
    """Return the field of what is computed place by place from tensors that are broadcast."""
    seen = [field for field in fields if field is not None]
    if not seen or WHOLE in seen or UNKNOWN in seen:
        return WHOLE if WHOLE in seen else UNKNOWN if seen else None
    parts = [
        _aligned(field, shape, out)
        for field, shape in zip(fields, shapes, strict=True)
        if isinstance(field, Part)
    ]
    first = parts[0]
    if first is None:
        return UNKNOWN
    whole = first
    for other in parts[1:]:
        if other is None or other.dims != whole.dims:
            return UNKNOWN
        y, x = _joined(whole.y, other.y), _joined(whole.x, other.x)
        if y is None or x is None:
            return UNKNOWN
        whole = replace(whole, y=y, x=x, row=whole.row if whole.row == other.row else 0)
    return whole


def _aligned(field: Part, shape: Sequence[int], out: Sequence[int]) -> Part | None:
    """Return the field with dimensions put before it; None where one along the image is repeated."""
    dims = ("",) * (len(out) - len(shape)) + field.dims
    sizes = (1,) * (len(out) - len(shape)) + tuple(shape)
    if any(name and size != whole for name, size, whole in zip(dims, sizes, out, strict=True)):
        return None
    return replace(field, dims=dims)


def _joined(first: Span, second: Span) -> Span | None:
    if first.jump != second.jump:
        return None
    start = min(first.start, second.start)
    end = max(first.start + first.size, second.start + second.size)
    return Span(start=start, jump=first.jump, size=end - start)


def reshaped(field: Part, old: Sequence[int], new: Sequence[int]) -> Field:
    """Return the field of the same numbers, in the same order, under another shape."""
    dims: list[str] = []
    row = field.row
    for olds, news in _matching(old, new):
        names = _renamed(
            [(field.dims[i], old[i]) for i in olds], [new[j] for j in news], row=field.row
        )
        if names is None:
            return UNKNOWN
        if "yx" in names and [field.dims[i] for i in olds if old[i] > 1] == ["y", "x"]:
            row = next(old[i] for i in olds if field.dims[i] == "x")
        dims.extend(names)
    return replace(field, dims=tuple(dims), row=row)


def _matching(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return runs of old and new dimensions that hold the same numbers."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        olds: list[int] = []
        news: list[int] = []
        while True:
            left, right = prod(old[k] for k in olds), prod(new[k] for k in news)
            if i < len(old) and (not olds or left < right):
                olds.append(i)
                i += 1
            elif j < len(new) and (not news or right < left):
                news.append(j)
                j += 1
            else:
                break
        groups.append((olds, news))
    return groups


def _renamed(olds: list[tuple[str, int]], news: list[int], *, row: int) -> list[str] | None:
    """Return what the new dimensions of one run go along; None where that has no name."""
    names = [name for name, size in olds if size > 1]
    wide = [size for size in news if size > 1]
    if not any(names):
        given: list[str] = [""] * len(wide)
    elif len(names) == len(wide) == 1:
        given = names
    elif names == ["y", "x"] and len(wide) == 1:
        given = ["yx"]
    elif names == ["yx"] and len(wide) == 2 and wide[1] == row:
        given = ["y", "x"]
    elif len(wide) == 1:
        given = ["mixed"]
    else:
        return None
    rest = iter(given)
    return [next(rest) if size > 1 else "" for size in news]
