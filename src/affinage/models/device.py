"""Where tensors are computed, and why there."""

import torch

from affinage.errors import ModelError
from affinage.models.process import keep_to_processors


def accelerators() -> tuple[str, ...]:
    """Return the accelerators that torch sees, with their names."""
    seen = [
        f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        for index in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        seen.append("mps (Apple GPU)")
    return tuple(seen)


def choose_device(asked: str = "auto") -> tuple[torch.device, str]:
    """Return the device to compute on and the reason.

    Args:
        asked: `auto`, or a torch device such as `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        ModelError: If the device asked for is not there.
    """
    keep_to_processors()  # Before torch starts threads of its own.
    seen = accelerators()
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), "the first CUDA accelerator"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "the Apple GPU"
        return torch.device("cpu"), _why_no_accelerator()
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ModelError(
            f"The device '{asked}' is not available here; torch sees: {', '.join(seen) or 'only cpu'}.",
            remedy="Leave compute.device at auto, or see `affinage env`.",
        ) from None
    return device, "asked for"


def _why_no_accelerator() -> str:
    if torch.version.cuda is not None:
        return "torch was built for CUDA, but no NVIDIA driver or device answers"
    return "this build of torch has no support for accelerators"
