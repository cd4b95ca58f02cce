"""What computes a bundle's model: ONNX Runtime, or OpenVINO for what was exported to it."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affinage.errors import ModelError
from affinage.records.bundle import FEATURES, IMAGES, OUTPUTS, PREPARED, Bundle, Precision

Rows = Mapping[str, NDArray[Any]]


class Pass(Protocol):
    """From images to named rows."""

    def __call__(self, images: NDArray[np.uint8], /, *, prepared: bool) -> Rows:
        """Return rows of images, shape (n, height, width, 3); `prepared` where they are views already."""


def open_pass(folder: Path, bundle: Bundle, *, threads: int) -> Pass:
    """Return the pass of a bundle's model.

    Args:
        folder: Where the bundle lies.
        bundle: What is known of it.
        threads: To compute with.

    Raises:
        ModelError: If what computes it is not installed.
    """
    path = folder / bundle.model_file
    if bundle.model_format == "torch":
        raise _not_read(path)
    if bundle.model_format == "openvino":
        return _openvino_pass(path, threads=threads, precision=bundle.precision)
    return onnx_pass(path, threads=threads, any_size=bundle.any_size)


def onnx_pass(
    model: Path | bytes,
    *,
    threads: int,
    any_size: bool,
    names: tuple[str, ...] = (FEATURES, OUTPUTS),
) -> Pass:
    """Return the pass of an ONNX model.

    Args:
        model: Its file, or the bytes of it.
        threads: To compute with.
        any_size: Whether it has the input that says whether images are views already.
        names: What to return of a pass.
    """
    runtime = _load("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=["CPUExecutionProvider"],
    )

    def run(images: NDArray[np.uint8], *, prepared: bool) -> Rows:
        given = {IMAGES: np.ascontiguousarray(images)}
        if any_size:
            given[PREPARED] = np.array(prepared)
        return dict(zip(names, session.run(list(names), given), strict=True))

    return run


def _openvino_pass(model: Path, *, threads: int, precision: Precision) -> Pass:
    runtime = _load("openvino", "openvino")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Left to itself, OpenVINO computes fp32 in bf16 where the processor has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    compiled = runtime.Core().compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()

    def run(images: NDArray[np.uint8], *, prepared: bool) -> Rows:
        found = request.infer([np.ascontiguousarray(images)])
        return {name: np.array(found[name], dtype=np.float32) for name in (FEATURES, OUTPUTS)}

    return run


def _not_read(model: Path) -> ModelError:
    return ModelError(
        f"'{model.name}' is a program of PyTorch, which this reader does without.",
        remedy="Read it with torch.export.load, or export the run with --format onnx.",
    )


def _load(module: str, extra: str) -> Any:
    if importlib.util.find_spec(module) is None:
        raise ModelError(
            f"{module} is not installed.", remedy=f"Install it: pip install 'affinage[{extra}]'"
        )
    return importlib.import_module(module)
