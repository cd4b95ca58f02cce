"""The frozen backbone through torch.compile, its weights folded into the code."""

import copy
import importlib.metadata
import logging
import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.inference.pass_through import Frozen, Pass


def build(frozen: Frozen, *, precision: str) -> Pass:
    """Return the pass from pixels to features, compiled for this very shape of batch."""
    # That a CUDA toolkit has no GPU to compile for is nothing that the owner of images must know.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    own = replace(
        frozen, model=copy.deepcopy(frozen.model).eval().requires_grad_(requires_grad=False)
    )
    module = torch.compile(own.module(), fullgraph=True, dynamic=False, options={"freezing": True})
    kind = frozen.device.type

    def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with (
            warnings.catch_warnings(),
            torch.no_grad(),  # Not inference_mode: weights are folded under no_grad only.
            torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bf16"),
        ):
            warnings.simplefilter("ignore")  # Deprecations inside of torch's own compiler.
            output = module(torch.from_numpy(pixels))
        rows: NDArray[np.float32] = output.float().numpy()
        return rows

    features(frozen.example().numpy())
    return features


def missing() -> str:
    """Return why it cannot be used; empty where it can."""
    if shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++"):
        return ""
    return "there is no C++ compiler here (g++)"


def version() -> str:
    """Return the version that the numbers depend on."""
    return importlib.metadata.version("torch")
