"""What a model is judged by while it trains, and when its training has gone on long enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from affinage.errors import RecipeError
from affinage.records.settings.finetune import FinetuneSettings

JUDGED = "judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model scores on some images, in evaluation mode.

    Attributes:
        judged: What weights are kept by unless the recipe names another score, the less the better;
            for classes the loss at its best temperature, so that a model which is only too modest
            (label smoothing) or too sure is not the worse for it. Not finite where outputs are no numbers.
        values: All scores that are drawn as curves, by name, such as `loss` and `accuracy`.
        rising: Those of them of which more is better; of the others less is.
    """

    judged: float
    values: Mapping[str, float] = field(default_factory=dict)
    rising: frozenset[str] = frozenset()


def judged_value(scores: Scores, settings: FinetuneSettings) -> float:
    """Return the score that decides, turned so that less is better.

    Raises:
        RecipeError: If the recipe names a score that this task does not have.
    """
    name = settings.stop_on
    if name is None or name == JUDGED:
        return scores.judged
    if name not in scores.values:
        known = ", ".join(sorted(scores.values))
        raise RecipeError(
            f"finetune.stop_on={name} is not a score of this task.",
            remedy=f"Choose one of {known}, or leave it out.",
        )
    value = scores.values[name]
    return -value if name in scores.rising else value


def out_of_patience(settings: FinetuneSettings, flat: int) -> str:
    """Return why a training without progress ends, or an empty text while it goes on."""
    if settings.patience is None or flat < settings.patience:
        return ""
    looks = "epochs" if settings.evaluate_every is None else "looks"
    name = settings.stop_on
    better = "lower validation loss" if name in (None, JUDGED) else f"better validation {name}"
    return f"{flat} {looks} without a {better}"


def out_of_minutes(settings: FinetuneSettings, seconds: float) -> str:
    """Return why a training that has had its time ends, or an empty text while it goes on."""
    if settings.minutes is None or seconds < 60 * settings.minutes:
        return ""
    return f"the limit of {settings.minutes:g} minutes (finetune.minutes)"


def look_is_due(settings: FinetuneSettings, *, step: int, size: int, per_epoch: int) -> bool:
    """Return whether validation is looked at after a step: the epoch or so many images are full.

    Args:
        settings: `evaluate_every`.
        step: Steps taken, from 1 on.
        size: Images per step.
        per_epoch: Steps per epoch.
    """
    every = settings.evaluate_every
    if every is None:
        return step % per_epoch == 0
    return step * size // every > (step - 1) * size // every
