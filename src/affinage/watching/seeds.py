"""Whether what a loader gives follows from the seeds."""

import copy
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from affinage.watching.passes import images_in

_UNSEEDED = 67280421310721
"""What torch's generator starts from in every process that gives it no seed."""


def is_seeded() -> bool:
    """Return whether torch's generator was given a seed."""
    return torch.initial_seed() != _UNSEEDED


def same_under_seed(loader: Any) -> bool | None:
    """Return whether two copies of a loader give the same first batch after the same seeds.

    The caller restores the generators. Copies, since a generator that the data set holds itself goes on
    from where it stands; tensors are not copied, since nothing in them is drawn.

    Returns:
        None where that cannot be told: the loader reads in processes of its own, or cannot be copied.
    """
    data = getattr(loader, "dataset", None)
    while isinstance(data, Subset):
        data = data.dataset
    if data is None or isinstance(data, TensorDataset):
        return None
    if getattr(loader, "num_workers", None) != 0:  # Workers have generators of their own.
        return None
    try:
        first, second = (_first_images(copy.deepcopy(loader)) for _ in range(2))
    except Exception:  # noqa: BLE001 - a data set of anyone's may raise anything.
        return None
    if first is None or second is None:
        return None
    return first.shape == second.shape and torch.equal(first, second)


def _first_images(loader: Any) -> Tensor | None:
    random.seed(0)
    np.random.seed(0)  # It is the global generator that scripts draw from.
    torch.manual_seed(0)
    return images_in(next(iter(loader)))
