"""The frozen backbone in OpenVINO on a processor (the extra `openvino`)."""

import importlib.metadata
import importlib.util
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.inference.pass_through import Frozen, Pass

HINTS = {"fp32": "f32", "bf16": "bf16"}


def build(frozen: Frozen, *, precision: str) -> Pass:
    """Return the pass from pixels to features.

    The network is handed to OpenVINO's reader of TorchScript itself, not to `openvino.convert_model`:
    that one reports its use to its makers.
    """
    import openvino  # noqa: PLC0415 - an extra, slow to load.

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RuntimeError("this processor has no bf16")
    request = core.compile_model(
        _converted(frozen),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",  # One batch at a time, on all threads.
            "INFERENCE_NUM_THREADS": frozen.threads,
        },
    ).create_infer_request()

    def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = request.infer([np.ascontiguousarray(pixels)], share_inputs=True)
        return np.array(found[0], dtype=np.float32)

    return features


def missing() -> str:
    """Return why it cannot be used; empty where it can."""
    return "" if importlib.util.find_spec("openvino") else "not installed"


def version() -> str:
    """Return the version that the numbers depend on."""
    return importlib.metadata.version("openvino")


def _converted(frozen: Frozen) -> Any:
    import openvino  # noqa: PLC0415
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    frozen.model.eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Tracing warns of shapes that become constants: wanted here.
        trace: Any = torch.jit.trace
        traced = trace(frozen.module(), frozen.example(), check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)  # Named: the reader does not keep it alive.
        reader = FrontEndManager().load_by_framework("pytorch")
        network = reader.convert(reader.load(decoder))
    network.inputs[0].get_node().set_element_type(openvino.Type.u8)
    network.reshape(list(frozen.shape))
    return network
