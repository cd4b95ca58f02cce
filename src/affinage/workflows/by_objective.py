"""Heads of any objective: fitted to its optimum, judged by its own loss."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.heads.linear import LinearHead, PenaltyChoice
from affinage.metrics.intervals import percentile_estimate, resample
from affinage.records.estimate import Estimate
from affinage.records.recipe import Recipe
from affinage.records.signals import Point
from affinage.records.task import Task, task_named
from affinage.training.losses import Objective
from affinage.training.objective_head import (
    choose_objective_penalty,
    fit_objective,
    plain_losses,
)
from affinage.workflows.work import FeatureHead, FittedHead, Learnt, Outputs, folded

DRAWS = 1000


def fit_by_objective(recipe: Recipe, objective: Objective, learnt: Learnt) -> FittedHead:
    """Choose the L2 penalty on these images and fit the head to its optimum."""
    choice = choose_objective_penalty(
        learnt.features,
        learnt.targets,
        objective,
        penalties=recipe.features.penalties,
        **folded(recipe, learnt),
    )
    head = fit_objective(learnt.features, learnt.targets, objective, penalty=choice.penalty)
    start = head
    if "finetune" in recipe.stages and head.penalty < recipe.finetune.start_penalty:
        start = fit_objective(
            learnt.features, learnt.targets, objective,
            penalty=recipe.finetune.start_penalty, start=head,
        )  # fmt: skip
    return FittedHead(
        head=head, start=start, points=cross_validated(choice, task_named(recipe.task))
    )


def refit_by_objective(objective: Objective, learnt: Learnt, head: FeatureHead) -> LinearHead:
    """Fit the chosen head again."""
    assert isinstance(head, LinearHead)  # The recipe allows no other for these tasks.
    return fit_objective(learnt.features, learnt.targets, objective, penalty=head.penalty)


def cross_validated(choice: PenaltyChoice, task: Task) -> tuple[Point, ...]:
    """Return what cross-validation saw of each penalty, as points of two curves."""
    return tuple(
        Point(stage="features", series=series, on="cross-validation on train",
              epoch=float(rank), value=value)
        for rank, (_, loss, hit) in enumerate(choice.losses)
        for series, value in (("loss", loss), (task.hits, hit))
    )  # fmt: skip


def choose_by_loss(
    objective: Objective, head: Outputs, finetuned: Outputs, targets: NDArray[Any], *, what: str
) -> tuple[bool, str]:
    """Return whether the fine-tuned model has the lower loss on validation, and why, in a sentence.

    Args:
        objective: Whose plain loss decides.
        head: Raw outputs of the head on frozen features.
        finetuned: Raw outputs of the fine-tuned model on the same images.
        targets: Their truth.
        what: Name of the loss, for people.
    """
    losses = [plain_losses(objective, outputs, targets) for outputs in (head, finetuned)]
    gain = mean_difference(losses[0] - losses[1])
    better = bool(gain.value is not None and gain.value > 0)
    verdict = (
        "Fine-tuning helped, so its model was kept"
        if better
        else "Fine-tuning did not help, so the head on frozen features was kept"
    )
    value, low, high = (round(end or 0.0, 3) + 0.0 for end in (gain.value, gain.low, gain.high))
    way = "higher" if value < 0 else "lower"
    ends = (low, high) if value >= 0 else (-high, -low)
    return better, (
        f"{verdict}: on {gain.n} validation images its {what} is {losses[1].mean():.3f} against "
        f"{losses[0].mean():.3f} ({way} by {abs(value):.3f}, 95 % interval {ends[0]:+.3f} to "
        f"{ends[1]:+.3f})."
    )


def mean_difference(differences: NDArray[np.float64]) -> Estimate:
    """Return the mean of paired differences with its 95 % bootstrap interval.

    Source:
        Efron, Bootstrap methods: another look at the jackknife, 1979.
    """
    n = len(differences)
    draws = differences[resample(n, seed=0, draws=DRAWS)].mean(axis=1)
    return percentile_estimate(float(differences.mean()), draws, n)
