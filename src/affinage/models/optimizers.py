"""Optimizers by name: torch's own, and timm's through this door."""

from collections.abc import Iterable
from typing import Any, Final

import torch
from timm.optim import get_optimizer_class

from affinage.errors import RecipeError
from affinage.records.settings.optimizer import (
    WITH_AMSGRAD,
    WITH_MOMENTUM,
    WITH_NESTEROV,
    WITHOUT_BETAS,
    WITHOUT_EPS,
    OptimizerName,
    OptimizerSettings,
)

TORCH: Final[dict[OptimizerName, type[torch.optim.Optimizer]]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
"""All others come from timm."""

_DECAY_AS_PENALTY = ("nadam", "radam")
"""Of torch's, those that take the choice between decay of the weights and a penalty on the loss."""


def make_optimizer(
    settings: OptimizerSettings, groups: Iterable[dict[str, Any]], *, lr: float
) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name; what they leave open is as its authors have it.

    Weight decay shrinks the weights themselves (Loshchilov and Hutter, Decoupled Weight Decay
    Regularization, 2019) in adamw, nadam, radam and most of timm's; in sgd, adam, adamax, rmsprop and
    adagrad it is a penalty on the loss, as torch has it.

    Args:
        settings: Name and options.
        groups: Parameter groups as torch takes them.
        lr: Highest learning rate.

    Raises:
        RecipeError: If this version of timm does not have it.
    """
    options = _options(settings)
    rows = list(groups)
    if settings.name in TORCH:
        # The common class knows none of the options that each of them has.
        return TORCH[settings.name](rows, lr=lr, **options)  # type: ignore[call-arg]
    try:
        made = get_optimizer_class(settings.name, bind_defaults=False)(rows, lr=lr, **options)
    except ValueError as error:
        raise RecipeError(
            f"optimizer.name={settings.name}: {error}",
            remedy="Install the tested version of timm, or choose adamw.",
        ) from None
    assert isinstance(made, torch.optim.Optimizer)
    return made


def _options(settings: OptimizerSettings) -> dict[str, Any]:
    """Return the optimizer's own options, under the names that its class has for them."""
    name = settings.name
    options: dict[str, Any] = {}
    if name in WITH_MOMENTUM:
        options["momentum"] = settings.momentum
    if name in WITH_NESTEROV:
        options["nesterov"] = settings.momentum > 0 and settings.nesterov is not False
    if name in WITH_AMSGRAD and settings.amsgrad:
        options["amsgrad"] = True
    if settings.betas is not None and name == "rmsprop":
        options["alpha"] = settings.betas[1]
    elif settings.betas is not None and name not in WITHOUT_BETAS:
        options["betas"] = tuple(settings.betas)
    if settings.eps is not None and name not in WITHOUT_EPS:
        options["eps"] = settings.eps
    if name in _DECAY_AS_PENALTY:
        options["decoupled_weight_decay"] = True
    return options
