"""The model's file in each format, and a look into it for the proof."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.bundle.passes import Pass, Rows, onnx_pass, open_pass
from affinage.errors import ModelError
from affinage.exporting.frame import VIEW, fits_in_graph, looked_into, with_frame
from affinage.exporting.graph import TENSOR, Activate, Exported, with_metadata
from affinage.models.classifier import Classifier
from affinage.records.bundle import FEATURES, OUTPUTS, Bundle, ModelFormat, Precision
from affinage.records.preprocessing import Preprocessing

FILES: dict[ModelFormat, str] = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "torch": "model.pt2",
}
NEEDED: dict[ModelFormat, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "onnxruntime", "openvino"),
    "torch": (),
}
PRECISIONS: dict[ModelFormat, tuple[Precision, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torch": ("fp32",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A trained model on its way to a file.

    Attributes:
        model: In PyTorch.
        activate: What makes answers of its raw outputs.
        graph: The same as ONNX, from views to answers; None for PyTorch's own format.
        preprocessing: What it was trained with.
        batch: Images of every pass; None for any number.
    """

    model: Classifier
    activate: Activate
    graph: Any
    preprocessing: Preprocessing
    batch: int | None = None


def check_format(model_format: ModelFormat, precision: Precision) -> None:
    """Raise if a format has no such precision, or what writes it is not installed.

    Raises:
        ModelError: With what to do.
    """
    if precision not in PRECISIONS[model_format]:
        where = [name for name, known in PRECISIONS.items() if precision in known]
        raise ModelError(
            f"{model_format} bundles have {', '.join(PRECISIONS[model_format])}, not {precision}.",
            remedy=f"Use --format {where[0]} --precision {precision}, or --precision fp32.",
        )
    lacking = [name for name in NEEDED[model_format] if importlib.util.find_spec(name) is None]
    if lacking:
        extras = "onnx,openvino" if model_format == "openvino" else "onnx"
        raise ModelError(
            f"{', '.join(lacking)} must be installed to write {model_format}.",
            remedy=f"Install it: pip install 'affinage[{extras}]'",
        )


def resizes(model_format: ModelFormat, network: Network) -> bool:
    """Return whether the file will take frames of any size."""
    free = network.batch is None and fits_in_graph(network.preprocessing)
    return model_format == "onnx" and free


def write_model(path: Path, bundle: Bundle, network: Network, *, note: str) -> Pass:
    """Write the model's file and return a look into it, with what is within as far as the format shows it.

    Args:
        path: Where to.
        bundle: What the file shall be.
        network: The model.
        note: Labels and preprocessing as JSON, kept within the file too.
    """
    writers: dict[ModelFormat, Callable[[Path, Bundle, Network, str], Pass]] = {
        "onnx": _write_onnx,
        "openvino": _write_openvino,
        "torch": _write_torch,
    }
    return writers[bundle.model_format](path, bundle, network, note)


def _write_onnx(path: Path, bundle: Bundle, network: Network, note: str) -> Pass:
    whole = with_frame(network.graph, network.preprocessing) if bundle.any_size else network.graph
    with_metadata(whole, note)
    path.write_bytes(whole.SerializeToString())
    there = {name for node in whole.graph.node for name in node.output}
    names = tuple(name for name in (FEATURES, OUTPUTS, VIEW, TENSOR) if name in there)
    return onnx_pass(
        looked_into(whole, names),
        threads=torch.get_num_threads(),
        any_size=bundle.any_size,
        names=names,
    )


def _write_openvino(path: Path, bundle: Bundle, network: Network, note: str) -> Pass:
    import openvino  # noqa: PLC0415 - an extra, slow to load.

    model = openvino.Core().read_model(network.graph.SerializeToString())
    model.set_rt_info(note, "affinage")
    # fp16 halves the file, and keeps more digits than bf16, in which it is computed.
    openvino.save_model(model, str(path), compress_to_fp16=bundle.precision == "bf16")
    return open_pass(path.parent, bundle, threads=torch.get_num_threads())


def _write_torch(path: Path, bundle: Bundle, network: Network, note: str) -> Pass:
    kind, batch = network.preprocessing, bundle.batch
    example = torch.full((batch or 2, kind.height, kind.width, 3), 127, dtype=torch.uint8)
    shapes = None if batch else ({0: torch.export.Dim("batch", max=1024)},)
    whole = Exported(network.model, network.activate).eval()
    with torch.no_grad():
        program = torch.export.export(whole, (example,), dynamic_shapes=shapes)
    torch.export.save(program, path, extra_files={"affinage.json": note})
    return torch_pass(path)


def torch_pass(path: Path) -> Pass:
    """Return the pass of a program that PyTorch exported."""
    program = torch.export.load(path).module()

    def run(images: NDArray[np.uint8], *, prepared: bool) -> Rows:
        with torch.inference_mode():
            found = program(torch.from_numpy(np.ascontiguousarray(images)))
        names = (FEATURES, OUTPUTS, TENSOR)
        return {name: one.float().numpy() for name, one in zip(names, found, strict=True)}

    return run
