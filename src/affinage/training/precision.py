"""In which numbers a training step is computed."""

import torch

from affinage.errors import RecipeError
from affinage.records.settings.compute import ComputeSettings

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_of(settings: ComputeSettings) -> str:
    """Return `fp32`, `bf16` or `fp16`.

    Raises:
        RecipeError: If it is still to be measured.
    """
    if settings.precision == "auto":
        raise RecipeError(
            "compute.precision=auto has not been settled: nothing was measured.",
            remedy="Settle the recipe first (affinage.training.settle), or give fp32, bf16 or fp16.",
        )
    return settings.precision


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which the model computes; its outputs must be made fp32 for the loss."""
    kind = TYPES[precision] if precision != "fp32" else torch.bfloat16
    return torch.autocast(device.type, dtype=kind, enabled=precision != "fp32")


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return what keeps small fp16 gradients from vanishing; it does nothing for the others.

    Source:
        Micikevicius et al., Mixed Precision Training, 2018, section 3.2.
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
