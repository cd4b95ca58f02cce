"""Values of whole data sets, where they lie in memory."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from affinage.records.training_facts import Part, WholeSets

_VALUES = 200_000_000
"""Summed in about a third of a second."""


def tensor_of(data: Any) -> Tensor | None:
    """Return all images of a data set, channels first, if it holds them as a tensor of real numbers."""
    rows: Tensor | None = None
    while isinstance(data, Subset):
        own = torch.as_tensor(list(data.indices))
        rows = own if rows is None else own[rows]
        data = data.dataset
    if not isinstance(data, TensorDataset) or not data.tensors:
        return None
    images = data.tensors[0]
    if not images.is_floating_point() or images.ndim < 2 or images.numel() > _VALUES:
        return None
    images = images if rows is None else images[rows]
    return images if images.ndim > 2 else images[:, None]


def whole_sets(images: dict[Part, Tensor]) -> WholeSets | None:
    """Return the values of the training part and of all parts; None without both.

    Args:
        images: By part, shape (n, channels, ...).
    """
    train = images.get("train")
    parts = [
        part
        for part in images
        if images[part].shape[1:2] == (train.shape[1:2] if train is not None else ())
    ]
    if train is None or len(parts) < 2:
        return None
    sums = {part: _sums(images[part]) for part in parts}
    own_mean, own_std = _moments([sums["train"]])
    mean, std = _moments(list(sums.values()))
    return WholeSets(
        parts=("train", *(part for part in parts if part != "train")),
        train_images=len(train),
        images=sum(len(images[part]) for part in parts),
        train_mean=own_mean,
        train_std=own_std,
        mean=mean,
        std=std,
    )


def _sums(images: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the number of values in a channel, and their sums and sums of squares by channel."""
    values = images.detach().transpose(0, 1).flatten(1).double()
    return values.shape[1], values.sum(1), (values**2).sum(1)


def _moments(
    sums: list[tuple[int, Tensor, Tensor]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    n = sum(count for count, _, _ in sums)
    mean = torch.stack([first for _, first, _ in sums]).sum(0) / n
    square = torch.stack([second for _, _, second in sums]).sum(0) / n
    std = (square - mean**2).clamp_min(0).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
