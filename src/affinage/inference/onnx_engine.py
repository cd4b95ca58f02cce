"""The frozen backbone in ONNX Runtime on a processor (the extra `onnx`)."""

import contextlib
import importlib.metadata
import importlib.util
import io
import logging
import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.inference.pass_through import Frozen, Pass

NEEDED = ("onnxruntime", "onnx", "onnxscript")


def build(frozen: Frozen, *, precision: str) -> Pass:
    """Return the pass from pixels to features; `precision` is fp32, the only one tried."""
    import onnxruntime  # noqa: PLC0415 - an extra, slow to load.

    assert precision == "fp32"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = frozen.threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _exported(frozen), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = session.run(None, {name: np.ascontiguousarray(pixels)})[0]
        return rows

    return features


def missing() -> str:
    """Return why it cannot be used; empty where it can."""
    lacking = [name for name in NEEDED if not importlib.util.find_spec(name)]
    return f"{', '.join(lacking)} not installed" if lacking else ""


def version() -> str:
    """Return the version that the numbers depend on."""
    return importlib.metadata.version("onnxruntime")


def _exported(frozen: Frozen) -> bytes:
    frozen.model.eval()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # The exporter logs each package that it does not need.
    try:
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                frozen.module(), (frozen.example(),), dynamo=True, verbose=False
            )
        assert program is not None
        found: bytes = program.model_proto.SerializeToString()
    finally:
        logging.disable(level)
    return found
