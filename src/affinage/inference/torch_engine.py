"""The frozen backbone in PyTorch as it comes, in fp32 or under bf16 autocast."""

import importlib.metadata

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.inference.pass_through import Frozen, Pass


def build(frozen: Frozen, *, precision: str) -> Pass:
    """Return the pass from pixels to features."""
    frozen.model.eval()

    def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with (
            torch.inference_mode(),
            torch.autocast(frozen.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"),
        ):
            output = frozen.model.features(torch.from_numpy(pixels).to(frozen.device))
        rows: NDArray[np.float32] = output.float().cpu().numpy()
        return rows

    return features


def missing() -> str:
    """Return why it cannot be used: never."""
    return ""


def version() -> str:
    """Return the version that the numbers depend on."""
    return importlib.metadata.version("torch")
