"""The trained model as one ONNX graph: views of uint8 in, features and answers out."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.records.bundle import FEATURES, IMAGES, OUTPUTS

OPSET = 18
"""The first whose Resize has anti-aliasing."""

TENSOR = "tensor"
"""Name of what the backbone sees, kept in the graph so that the proof can look at it."""

Activate = Callable[[Tensor], Tensor]
"""From raw outputs (n, outputs) to what an answer is read from (n, labels)."""


class Exported(nn.Module):
    """A trained model, its normalisation and its activation, as one step from views to answers.

    Args:
        model: As trained.
        activate: Makes probabilities or counts of raw outputs.
    """

    def __init__(self, model: Classifier, activate: Activate) -> None:
        super().__init__()
        # A copy, channels first: of channels last, pooling is exported as a gather over strides.
        self.model = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format)
        self.activate = activate

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, outputs and the normalised tensor of views (n, height, width, 3)."""
        tensor = self._tensor(images)
        features: Tensor = self.model.pool(self.model.backbone(tensor))
        return features, self.activate(self.model.head(features)), tensor

    def _tensor(self, images: Tensor) -> Tensor:
        """Return what `normalise` returns, as one operation over planes of colour.

        As a difference and a quotient, ONNX Runtime computes them over triples of channels, in a fifth of
        the time of all of an int8 Lite0. The proof compares the two.
        """
        planes = images.permute(0, 3, 1, 2).contiguous().float()
        mean, std = (self.model.get_buffer(name).flatten() for name in ("mean", "std"))
        shown = functional.batch_norm(planes, mean, std.square(), eps=0.0)
        whitening = self.model.whitening
        if whitening is None:
            return shown
        around = whitening.shape[-1] // 2
        return functional.conv2d(functional.pad(shown, (around,) * 4, mode="replicate"), whitening)


def onnx_graph(model: Classifier, activate: Activate, *, batch: int | None = None) -> Any:
    """Return the model as an ONNX `ModelProto` from `images` to `features` and `outputs`.

    Args:
        model: As trained; on the processor.
        activate: Makes probabilities or counts of raw outputs.
        batch: Images of every pass, for devices that want fixed shapes; None for any number.

    Raises:
        ModelError: If the exporter cannot take the network, with its reason.
    """
    whole = Exported(model, activate).eval()
    kind = model.preprocessing
    example = torch.full((batch or 2, kind.height, kind.width, 3), 127, dtype=torch.uint8)
    shapes = None if batch else ({0: torch.export.Dim("batch", max=1024)},)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[IMAGES],
                output_names=[FEATURES, OUTPUTS, TENSOR],
                dynamic_shapes=shapes,
            )
    except Exception as error:  # noqa: BLE001 - The exporter raises anything on what it cannot take.
        why = " ".join(str(error.__cause__ or error).split())[:300]
        raise ModelError(
            f"The network cannot be written as ONNX: {why}",
            remedy="Try --format torch, a fixed --batch 1, or another backbone.",
        ) from None
    assert program is not None
    return _cleaned(program.model_proto)


def with_metadata(proto: Any, text: str) -> None:
    """Keep the record of a bundle within the model too, so that the file alone tells its labels."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = "affinage", text


def _cleaned(proto: Any) -> Any:
    """Return the model without the exporter's notes: they name files and lines of this machine."""
    graph = proto.graph
    graph.name, graph.doc_string, proto.doc_string = "affinage", "", ""
    proto.producer_name, proto.producer_version = "affinage", ""
    del proto.metadata_props[:], graph.metadata_props[:]
    for one in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        one.doc_string = ""
        del one.metadata_props[:]
    del graph.value_info[:]
    kept = [one for one in graph.output if one.name != TENSOR]
    del graph.output[:]
    graph.output.extend(kept)
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # The exporter logs each package that it does not need.
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
