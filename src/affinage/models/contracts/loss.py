"""What a training relies on in a user's own loss."""

import torch
from torch import Tensor

from affinage.models.contracts.trial import IMAGES, Check, Trial


def _losses(trial: Trial, raw: Tensor) -> Tensor:
    losses: Tensor = trial.part(raw, torch.from_numpy(trial.targets()))
    return losses


def _is_one_number_each(trial: Trial) -> str | None:
    """Outputs (n, outputs) and targets give one loss for each image, shape (n,)."""
    losses = _losses(trial, trial.raw())
    if not isinstance(losses, Tensor) or losses.shape != (IMAGES,):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        return f"for {IMAGES} images it gives {shape} instead of shape ({IMAGES},): do not average"
    return None if losses.requires_grad else "no gradient leads back from it to the outputs"


def _is_finite(trial: Trial) -> str | None:
    """Losses and gradients are finite, for large outputs too."""
    for scale in (1.0, 30.0):
        raw = trial.raw(scale)
        losses = _losses(trial, raw)
        (slope,) = torch.autograd.grad(losses.sum(), raw)
        if not (torch.isfinite(losses).all() and torch.isfinite(slope).all()):
            return f"losses or gradients are not finite at outputs around ±{scale:g}"
    return None


def _is_of_its_image(trial: Trial) -> str | None:
    """An image's loss depends on its own outputs only."""
    raw = trial.raw()
    (slope,) = torch.autograd.grad(_losses(trial, raw)[0], raw)
    return "an image's loss depends on other images' outputs" if slope[1:].any() else None


def _can_be_lowered(trial: Trial) -> str | None:
    """A small step against the gradient lowers the mean loss."""
    raw = trial.raw()
    before = _losses(trial, raw).mean()
    (slope,) = torch.autograd.grad(before, raw)
    if not slope.any():
        return "its gradient is 0 everywhere"
    after = _losses(trial, (raw - 0.01 * slope / slope.norm()).detach()).mean()
    return None if after < before else "a step against its gradient does not lower it"


def _leaves_its_input(trial: Trial) -> str | None:
    """It gives the same for the same, and does not write into what it is given."""
    raw, targets = trial.raw().detach(), torch.from_numpy(trial.targets())
    first, second = trial.part(raw, targets), trial.part(raw, targets)
    written = not (
        torch.equal(raw, trial.raw()) and torch.equal(targets, torch.from_numpy(trial.targets()))
    )
    if written:
        return "it writes into its input"
    return None if torch.equal(first, second) else "it gives something else each time"


CONTRACT: tuple[Check, ...] = (
    _is_one_number_each,
    _is_finite,
    _is_of_its_image,
    _can_be_lowered,
    _leaves_its_input,
)
