"""The objective: what a training makes small, for any task, loss and output that a recipe names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from affinage.errors import DataError
from affinage.records.pairings import Resolved, resolve
from affinage.records.recipe import Recipe
from affinage.training.balance import (
    Targets,
    adjustments,
    element_weights,
    label_weights,
    sampling_weights,
)
from affinage.training.class_losses import (
    binary_focal,
    binary_losses,
    brier,
    cross_entropy,
    focal,
    scores_of,
    soft_labels,
)
from affinage.training.count_losses import make_count_loss
from affinage.training.outputs import OUTPUTS
from affinage.training.targets import check_targets, largest_counts

__all__ = ["Loss", "Objective", "make_objective", "sampling_weights"]

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a training makes small, and what is shown of it.

    Targets are indices (n,) or shares (n, K) for `classify`, 0 and 1 (n, K) for `multilabel`, counts
    (n, K) for `count`; raw outputs are float32.

    Attributes:
        outputs: Numbers that the head gives per image.
        loss: Raw outputs (n, outputs) and targets to losses (n,), with smoothing, weights and
            adjustments as the recipe says; of labels and counts the mean over the classes.
        plain: The same without smoothing and weights, for curves.
        hit: 1 where the class is right; the share of labels, or of counts once rounded, that are; of
            shares how much they overlap; (n,).
        predict: Raw outputs to probabilities (n, K), or expected counts or shares (n, K), none below 0.
    """

    outputs: int
    loss: Loss
    plain: Loss
    hit: Loss
    predict: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """What a loss is built from; targets are those of the training part."""

    recipe: Recipe
    chosen: Resolved
    classes: int
    targets: Targets

    @property
    def shares(self) -> bool:
        """Whether counts are learnt as shares of the objects in their image."""
        return self.recipe.task == "count" and self.recipe.count.target == "frequency"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """A loss of images, full and plain, and the values (n, K) that its raw outputs stand for."""

    outputs: int
    loss: Loss
    plain: Loss
    values: Callable[[Tensor], Tensor]


def make_objective(recipe: Recipe, *, classes: int, targets: Targets) -> Objective:
    """Return the objective of a recipe.

    Args:
        recipe: Settings; `task`, `loss`, `count` and `finetune.label_smoothing` are read.
        classes: How many classes or labels there are.
        targets: Of the training part, for the balance of classes and the largest counts: int64 (n,) for
            `classify`, float (n, K) for the others.

    Raises:
        DataError: If the targets are not of the task's form.
    """
    check_targets(recipe.task, targets, classes)
    setting = _Setting(
        recipe=recipe, chosen=resolve(recipe.chosen_loss()), classes=classes, targets=targets
    )
    built = _over_classes(setting) if _is_one_of_all(setting) else _each_class(setting)
    predict = partial(_predict, setting, built.values)
    return Objective(
        outputs=built.outputs,
        loss=built.loss,
        plain=built.plain,
        hit=partial(_hit, setting, predict),
        predict=predict,
    )


def _is_one_of_all(setting: _Setting) -> bool:
    """Whether the loss compares one distribution over all classes, not each class on its own."""
    name, task = setting.chosen.loss, setting.recipe.task
    return (
        name == "cross_entropy"
        or (name == "focal" and task != "multilabel")
        or (name == "mse" and task == "classify")
    )


def _over_classes(setting: _Setting) -> _Built:
    recipe, chosen = setting.recipe, setting.chosen
    weights = _tensor(label_weights(recipe, setting.targets, setting.classes))
    shift = _tensor(adjustments(recipe, setting.targets, setting.classes))

    def losses(raw: Tensor, targets: Tensor, *, full: bool) -> Tensor:
        scores = scores_of(chosen.output, raw)
        counted = weights.to(raw) if full and weights is not None else None
        smoothing = recipe.finetune.label_smoothing if full and recipe.task == "classify" else 0.0
        if full and shift is not None:
            scores = scores + shift.to(raw)
        if chosen.loss == "cross_entropy":
            wanted = _in_form(setting, targets, scores)
            return cross_entropy(scores, wanted, smoothing=smoothing, weights=counted)
        if chosen.loss == "focal":
            wanted = soft_labels(_in_form(setting, targets, scores), setting.classes, smoothing)
            return focal(scores, wanted, gamma=recipe.loss.gamma, weights=counted)
        return brier(scores, _compared(setting, targets, smoothing), weights=counted)

    return _Built(
        outputs=setting.classes,
        loss=partial(losses, full=True),
        plain=partial(losses, full=False),
        values=lambda raw: scores_of(chosen.output, raw).softmax(dim=1),
    )


def _in_form(setting: _Setting, targets: Tensor, scores: Tensor) -> Tensor:
    """Return targets as `loss.labels` says: indices, or a row of shares for each image."""
    if setting.shares:
        return _as_shares(targets.to(scores))
    if setting.recipe.task != "classify":
        return targets.to(scores)
    if setting.chosen.labels == "index" and targets.dtype != torch.long:
        raise DataError(
            f"loss.labels=index takes one class index per image, not {tuple(targets.shape)} shares.",
            remedy="Set loss.labels=one_hot, or leave it out.",
        )
    return (
        targets if setting.chosen.labels == "index" else soft_labels(targets, setting.classes, 0.0)
    )


def _compared(setting: _Setting, targets: Tensor, smoothing: float) -> Tensor:
    """Return what squared errors compare with; an index (forced) with every output alike."""
    if setting.chosen.labels == "index" and targets.dtype == torch.long:
        return targets.float().unsqueeze(1).expand(-1, setting.classes)
    return soft_labels(targets, setting.classes, smoothing)


def _as_shares(counts: Tensor) -> Tensor:
    """Return counts as shares of the objects in their image; zeros where there is no object."""
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1e-9)


def _each_class(setting: _Setting) -> _Built:
    recipe, classes = setting.recipe, setting.classes
    parts, inner, values = _of_each(setting)
    weigh = element_weights(recipe, setting.targets, classes)
    shift = _tensor(adjustments(recipe, setting.targets, classes))

    def losses(raw: Tensor, targets: Tensor, *, full: bool) -> Tensor:
        table = (targets if targets.ndim == 2 else soft_labels(targets, classes, 0.0)).to(raw)
        wanted = _as_shares(table) if setting.shares else table
        moved = raw + shift.to(raw) if full and shift is not None else raw
        each = inner(moved, wanted)
        if setting.shares:  # Of no objects there is no share to learn.
            each = each * (table.sum(dim=1, keepdim=True) > 0)
        if full and weigh is not None:
            each = each * weigh(table)
        return each.mean(dim=1)

    return _Built(
        outputs=parts * classes,
        loss=partial(losses, full=True),
        plain=partial(losses, full=False),
        values=values,
    )


def _of_each(setting: _Setting) -> tuple[int, Loss, Callable[[Tensor], Tensor]]:
    """Return raw numbers for each class, the losses (n, K), and the values (n, K)."""
    chosen, classes = setting.chosen, setting.classes
    if chosen.loss in ("bce", "focal"):
        gamma = setting.recipe.loss.gamma

        def binary(raw: Tensor, labels: Tensor) -> Tensor:
            losses = binary_losses(chosen.output, raw, labels)
            return losses if chosen.loss == "bce" else binary_focal(losses, gamma=gamma)

        return 1, binary, lambda raw: OUTPUTS[chosen.output](raw, torch.ones_like(raw[0]))
    made = make_count_loss(
        chosen.loss,
        output=chosen.output,
        distribution=setting.recipe.loss.distribution,
        largest=largest_counts(setting.recipe, setting.targets, classes),
    )

    def apart(raw: Tensor) -> Tensor:
        return raw.reshape(-1, made.parts, classes)  # Not len(raw): exports take any number.

    return (
        made.parts,
        lambda raw, counts: made.losses(apart(raw), counts),
        lambda raw: made.expected(apart(raw)),
    )


def _predict(setting: _Setting, values: Callable[[Tensor], Tensor], raw: Tensor) -> Tensor:
    found = values(raw.float())
    if setting.recipe.task == "classify":
        positive = found.clamp(min=1e-12)
        return positive / positive.sum(dim=1, keepdim=True)
    if setting.recipe.task == "multilabel":
        return found.clamp(0, 1)
    return found.clamp(min=0)


def _hit(
    setting: _Setting, predict: Callable[[Tensor], Tensor], raw: Tensor, targets: Tensor
) -> Tensor:
    recipe = setting.recipe
    if recipe.task == "classify":
        truth = targets if targets.ndim == 1 else targets.argmax(dim=1)
        return (raw.argmax(dim=1) == truth).float()
    found = predict(raw)
    if recipe.task == "multilabel":
        return ((found >= 0.5) == (targets >= 0.5)).float().mean(dim=1)
    if setting.shares:
        return torch.minimum(found, _as_shares(targets.to(found))).sum(dim=1).clamp(max=1)
    half = 0.5 if recipe.count.rounding == "nearest" else 0.0
    return ((found + half).floor() == targets.round()).float().mean(dim=1)


def _tensor(values: Targets | None) -> Tensor | None:
    return None if values is None else torch.from_numpy(values)
