"""The learning-rate range test: the rate rises step by step until the loss does."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.settings.optimizer import WITHOUT_BETAS
from affinage.training.feeding import whole_targets
from affinage.training.initial import guessed_losses
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan, make_plan
from affinage.training.timing import for_trial
from affinage.training.trial import Trial

STEPS = 48
DECADES = 6
HIGHEST = 1.0
HIGHEST_OF_SGD = 10.0
SMOOTHING = 0.8
"""Weight of what was before in the smoothed loss: about the last five steps count."""

LOST = 0.5
"""Share of what was learnt, guess minus lowest loss, that is lost at the edge: a fitted head starts near
0, where any step is a rise, so that a share of the loss itself would say nothing."""

LEAST_RISE = 0.05
"""Of the loss of a guess: where nothing was learnt yet, a rise above a guess is noise up to here."""

BELOW = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """What a range test showed.

    Attributes:
        rates: Learning rate of each step, rising evenly in its logarithm.
        losses: Smoothed loss of each.
        edge: The rate from which on the loss rose.
        chosen: The rate to train with.
        rule: How it was chosen, in words.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    edge: float
    chosen: float
    rule: str


def find_learning_rate(trial: Trial) -> RangeTest:
    """Return a good highest learning rate for a training; the model is left as it is, bit for bit.

    A copy takes 48 steps on training images while the rate rises over six decades. The smoothed loss
    is flat, mostly falls, and then rises; a tenth of the rate at which its rise begins is chosen.

    Args:
        trial: What is tried. The recipe's learning rate, schedule and length are not used.

    Source:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3, for the test;
        the rule is ours (`choose_rate`).
    """
    sgd_like = trial.recipe.optimizer.name in WITHOUT_BETAS
    rates = ramp(HIGHEST_OF_SGD if sgd_like else HIGHEST)
    model, recipe = copy.deepcopy(trial.model), for_trial(trial.recipe, lr=rates[0])
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    set_trainable(model, groups)
    optimizer = build_optimizer(
        model, groups, recipe.optimizer, layer_decay=recipe.finetune.layer_decay
    )
    whole = make_plan(trial.recipe.finetune, len(trial.items))
    plan = Plan(steps=STEPS, steps_per_epoch=whole.steps_per_epoch)
    table = whole_targets(trial.targets, model.preprocessing)
    _, guess = guessed_losses(table, trial.objective)
    losses: list[float] = []
    with torch.random.fork_rng():
        steps = training_steps(
            model, optimizer, trial.items, trial.targets, objective=trial.objective, recipe=recipe,
            plan=plan, device=trial.device, threads=trial.threads, phase="range test",
            rate=lambda step: rates[step],
        )  # fmt: skip
        for step in steps:
            losses.append(float(step.loss))
            if _blown_up(smoothed(losses), guess):
                break
        steps.close()
    return choose_rate(rates[: len(losses)], losses, guess=guess)


def ramp(highest: float) -> tuple[float, ...]:
    """Return the rates of the test, six decades up to the highest."""
    return tuple(highest * 10 ** (-DECADES * (1 - number / (STEPS - 1))) for number in range(STEPS))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving mean of the losses, corrected for its start."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def choose_rate(rates: Sequence[float], losses: Sequence[float], *, guess: float) -> RangeTest:
    """Return the rate that the losses of a ramp speak for.

    The edge is the last rate before the smoothed loss, past its lowest point, went half of the way from
    there to the loss of a guess (at least by a twentieth of the latter), for good; where it never did, the
    highest rate that was tried. A tenth of the edge is chosen.

    Args:
        rates: Rising learning rates.
        losses: Loss before the step at each; anything that is not a number counts as blown up.
        guess: Loss of the best answer that is the same for every image.
    """
    curve = smoothed([loss if math.isfinite(loss) else math.inf for loss in losses])
    lowest = min(range(len(curve)), key=lambda index: curve[index])
    limit = curve[lowest] + max(LOST * (guess - curve[lowest]), LEAST_RISE * abs(guess))
    edge = len(curve) - 1
    while edge > lowest and curve[edge] > limit:
        edge -= 1
    return RangeTest(
        rates=tuple(rates),
        losses=tuple(curve),
        edge=rates[edge],
        chosen=float(f"{rates[edge] / BELOW:.2g}"),
        rule=(
            f"a tenth of {rates[edge]:.2g}, the rate from which on the smoothed loss rose, in a test of "
            f"{len(rates)} steps from {rates[0]:.2g} to {rates[-1]:.2g}"
        ),
    )


def _blown_up(curve: Sequence[float], guess: float) -> bool:
    return not math.isfinite(curve[-1]) or curve[-1] > min(curve) + 2 * abs(guess)
