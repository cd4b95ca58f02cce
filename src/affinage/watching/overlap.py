"""Images that two parts of the data share."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from affinage.records.training_facts import Overlap, Part

_SECONDS = 5.0
_ITEMS = 500
_EXAMPLES = 3

Marks = dict[str, tuple[str, int | None]]
"""What identifies an image, to its name and its label."""


def overlap_of(first: Part, one: Any, second: Part, other: Any) -> Overlap | None:
    """Return what two data sets share; None where that cannot be told.

    Rows of one set are compared as rows, files by their paths and then by their bytes, tensors and
    anything else by their pixels (at most 500 images of each set, and 5 seconds).
    """
    if one is other:
        n = _length(one)
        return Overlap(first=first, second=second, shared=n, n=n, same_set=True, by="data set")
    ways = (_rows, _files, _bytes, _pixels)
    result: Overlap | None = None
    for way in ways:
        result = _by(way, first, one, second, other) or result
        if result is not None and (result.shared or way is _rows):
            return result
    return result


def _by(way: Any, first: Part, one: Any, second: Part, other: Any) -> Overlap | None:
    marks: tuple[Marks, Marks] | None = way(one, other)
    if marks is None or not marks[1]:
        return None
    left, right = marks
    shared = [mark for mark in right if mark in left]
    return Overlap(
        first=first,
        second=second,
        shared=len(shared),
        n=len(right),
        same_set=len(shared) == len(right) == len(left),
        by=way.__name__.removeprefix("_"),
        relabelled=sum(_differ(left[mark][1], right[mark][1]) for mark in shared),
        examples=tuple(right[mark][0] for mark in shared[:_EXAMPLES]),
    )


def _differ(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one != other


def _length(data: Any) -> int:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return 0


def _unwrapped(data: Any) -> tuple[Any, list[int] | None]:
    """Return the set behind subsets, and the rows of it that are meant."""
    rows: list[int] | None = None
    while isinstance(data, Subset):
        own = [int(i) for i in data.indices]
        rows = own if rows is None else [own[i] for i in rows]
        data = data.dataset
    return data, rows


def _rows(one: Any, other: Any) -> tuple[Marks, Marks] | None:
    (base, left), (same, right) = _unwrapped(one), _unwrapped(other)
    if base is not same:
        return None
    return _row_marks(left, base), _row_marks(right, base)


def _row_marks(rows: list[int] | None, base: Any) -> Marks:
    chosen = rows if rows is not None else range(_length(base))
    return {str(row): (f"row {row}", None) for row in chosen}


def _paths(data: Any) -> list[tuple[Path, int | None]] | None:
    base, rows = _unwrapped(data)
    pairs = getattr(base, "samples", None) or getattr(base, "imgs", None)
    if not isinstance(pairs, list) or not pairs or not isinstance(pairs[0], tuple | list):
        return None
    if not isinstance(pairs[0][0], str | Path):
        return None
    chosen = pairs if rows is None else [pairs[row] for row in rows]
    return [(Path(pair[0]), pair[1] if isinstance(pair[1], int) else None) for pair in chosen]


def _files(one: Any, other: Any) -> tuple[Marks, Marks] | None:
    left, right = _paths(one), _paths(other)
    if left is None or right is None:
        return None
    return _file_marks(left), _file_marks(right)


def _file_marks(paths: list[tuple[Path, int | None]]) -> Marks:
    return {str(path.resolve()): (_short(path), label) for path, label in paths}


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _bytes(one: Any, other: Any) -> tuple[Marks, Marks] | None:
    """Compare the contents of files; only those whose size occurs on both sides are read."""
    left, right = _paths(one), _paths(other)
    if left is None or right is None:
        return None
    deadline = time.monotonic() + _SECONDS
    try:
        sizes = [{path.stat().st_size for path, _ in side} for side in (left, right)]
        common = sizes[0] & sizes[1]
        return _byte_marks(left, common, deadline), _byte_marks(right, common, deadline)
    except OSError:
        return None


def _byte_marks(paths: list[tuple[Path, int | None]], sizes: set[int], deadline: float) -> Marks:
    marks: Marks = {}
    for path, label in paths:
        if path.stat().st_size not in sizes or time.monotonic() > deadline:
            marks[f"unread {path}"] = (_short(path), label)
            continue
        marks[hashlib.sha256(path.read_bytes()).hexdigest()] = (_short(path), label)
    return marks


def _pixels(one: Any, other: Any) -> tuple[Marks, Marks] | None:
    if _paths(one) is not None and _paths(other) is not None:
        return None  # Their files were compared; transforms may be random.
    deadline = time.monotonic() + _SECONDS
    left, right = (dict(_pixel_marks(data, deadline)) for data in (one, other))
    return (left, right) if left and right else None


def _pixel_marks(data: Any, deadline: float) -> Iterator[tuple[str, tuple[str, int | None]]]:
    base, rows = _unwrapped(data)
    tensors = isinstance(base, TensorDataset)
    chosen = rows if rows is not None else list(range(_length(base)))
    if not tensors:
        chosen = chosen[:_ITEMS]
    for row in chosen:
        if time.monotonic() > deadline:
            return
        try:
            item = base[row]
        except Exception:  # noqa: BLE001 - a data set of anyone's may raise anything.
            return
        image = item[0] if isinstance(item, tuple | list) and item else item
        if not isinstance(image, Tensor):
            return
        label = _label(item)
        content = image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        yield hashlib.sha256(content).hexdigest(), (f"row {row}", label)


def _label(item: Any) -> int | None:
    if not isinstance(item, tuple | list) or len(item) < 2:
        return None
    label = item[1]
    if isinstance(label, Tensor) and label.numel() == 1 and not label.is_floating_point():
        return int(label)
    return label if isinstance(label, int) else None
