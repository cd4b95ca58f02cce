"""How the parts of the data are fed: order, batches, names of classes."""

from typing import Any

from torch.utils.data import (
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from affinage.records.training_facts import Feeding, Part
from affinage.watching.targets import LabelOrder

_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


def feeding_of(part: Part, loader: Any, order: LabelOrder | None) -> Feeding:
    """Return how a part is fed.

    Args:
        part: Which.
        loader: Whence its batches came; None where they came from nowhere known.
        order: Labels as they reached the loss, of the training part.
    """
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(loader, "sampler", None)
    if batches is not None:  # Where it was given, the loader's own sampler is idle.
        sampler = getattr(batches, "sampler", batches)
    neighbours = order.neighbours() if order else None
    return Feeding(
        part=part,
        images=_length(getattr(loader, "dataset", None)),
        batch_size=_batch_size(loader, batches),
        sampler=type(sampler).__name__ if sampler is not None else "",
        shuffled=_shuffled(loader if sampler is None else sampler),
        neighbours_equal=neighbours[0] if neighbours else None,
        neighbours_expected=neighbours[1] if neighbours else None,
        n=neighbours[2] if neighbours else 0,
        batch_labels=sum(order.distinct) / len(order.distinct)
        if order and order.distinct
        else None,
        same_order=order.same() if order else None,
        workers=getattr(loader, "num_workers", None),
        classes=classes_in(getattr(loader, "dataset", None)),
        drop_last=getattr(loader, "drop_last", None),
        smallest_batch=order.smallest if order else None,
    )


def _batch_size(loader: Any, batches: Any) -> int | None:
    sizes = (getattr(loader, "batch_size", None), getattr(batches, "batch_size", None))
    return next((size for size in sizes if size), getattr(loader, "bs", None))


def _shuffled(sampler: Any) -> bool | None:
    if isinstance(sampler, _RANDOM):
        return True
    if isinstance(sampler, SequentialSampler):
        return False
    shuffle = getattr(sampler, "shuffle", None)
    return shuffle if isinstance(shuffle, bool) else None


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def classes_in(data: Any) -> tuple[str, ...] | None:
    """Return the names of a data set's classes in the order of their indices; None without names."""
    while data is not None:
        index = getattr(data, "class_to_idx", None)
        if isinstance(index, dict) and index:
            return tuple(str(name) for name, _ in sorted(index.items(), key=lambda item: item[1]))
        names = getattr(data, "classes", None)
        if isinstance(names, list | tuple) and names:
            return tuple(map(str, names))
        parts = getattr(data, "datasets", None)
        data = parts[0] if isinstance(parts, list) and parts else getattr(data, "dataset", None)
    return None
