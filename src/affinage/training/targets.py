"""What an objective may be given to learn from."""

import numpy as np
import torch
from torch import Tensor

from affinage.errors import DataError
from affinage.records.recipe import Recipe
from affinage.training.balance import Targets


def check_targets(task: str, targets: Targets, classes: int) -> None:
    """Refuse targets that are not of a task's form.

    Raises:
        DataError: With the form that is needed.
    """
    most = {"classify": classes - 1, "multilabel": 1}.get(task, np.finfo(np.float32).max)
    shape = targets.shape[:1] if task == "classify" else (*targets.shape[:1], classes)
    whole = task != "classify" or np.issubdtype(targets.dtype, np.integer)
    if targets.shape != shape or not whole or not ((targets >= 0) & (targets <= most)).all():
        wanted = {
            "classify": f"class indices 0..{most} of shape (n,)",
            "multilabel": f"0 and 1 of shape (n, {classes})",
        }.get(task, f"numbers of shape (n, {classes}), none below 0")
        raise DataError(
            f"The task {task} learns from {wanted}, not from {targets.dtype} of shape {targets.shape}.",
            remedy="Choose the task that the labels are for: --set task=classify, multilabel or count.",
        )


def largest_counts(recipe: Recipe, targets: Targets, classes: int) -> Tensor:
    """Return the largest count of each class, at least 1, shape (K,): `count.max`, or the data's."""
    if recipe.count.max is not None:
        return torch.full((classes,), float(recipe.count.max))
    if targets.ndim == 1:
        return torch.ones(classes)
    return torch.from_numpy(np.ceil(targets.max(axis=0, initial=1)).astype(np.float32))
