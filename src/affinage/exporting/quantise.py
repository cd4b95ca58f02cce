"""From fp32 to int8 after training: ranges measured on training images, costly layers left in fp32."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.bundle.passes import onnx_pass
from affinage.records.bundle import FEATURES, IMAGES, OUTPUTS, Loss, Quantised

CALIBRATION_IMAGES = 128
"""Images of the training part that ranges are measured on at most."""

FOLDED = "folded.onnx"
_STRIDE = 8  # Passes whose numbers are held at once while ranges are measured.

MOST_GROUPS = 48
"""Groups of layers that are ranked at most: each costs a quantisation."""

RANKED_ON = 16
"""Of these, images that layers are ranked on."""

_WEIGHTED = ("Conv", "MatMul", "Gemm", "ConvTranspose")
_BESIDE = ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "MaxPool", "Relu", "Clip")
"""Operations between layers that have an int8 form: numbers stay in 8 bits on their way through."""

Judge = Callable[[Any], Loss]
"""From a graph to what it loses on validation images."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8:
    """A graph in int8, and how it came about."""

    graph: Any
    record: Quantised


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way to measure ranges and to scale weights."""

    name: str
    per_channel: bool
    method: str


_WAYS = (
    _Way(name="a scale for each channel, ranges from the smallest to the largest number",
         per_channel=True, method="MinMax"),
    _Way(name="a scale for each channel, ranges that hold 99.99 % of the numbers",
         per_channel=True, method="Percentile"),
    _Way(name="a scale for each tensor, ranges from the smallest to the largest number",
         per_channel=False, method="MinMax"),
)  # fmt: skip


def quantise(
    graph: Any,
    *,
    views: NDArray[np.uint8],
    judge: Judge,
    max_loss: float,
    threads: int,
    say: Say,
) -> Int8:
    """Return a graph in int8 that loses no more than allowed, or the best that was found.

    Ways of scaling are tried in turn until one loses no more than allowed. If none does, the layers of the
    best are ranked by how far each alone moves the features of training images, and the farthest are left
    in fp32: 1, 2, 4, 8… of them, up to half, until the loss is small enough.

    Args:
        graph: ONNX, from views to answers; it is not changed.
        views: Of the training part, shape (n, height, width, 3).
        judge: What a graph loses on validation images.
        max_loss: Points of 100, or percent of the mean absolute error.
        threads: To compute with.
        say: Told what was tried.

    Source:
        Nagel et al., A White Paper on Neural Network Quantization, 2021: ranges and scales by channel
        (sections 2.4, 3.1), and leaving sensitive layers in higher precision (section 3.6).
    """
    batch = _batch_of(graph)
    with tempfile.TemporaryDirectory(prefix="affinage-int8-") as folder:
        count = len(views) // (batch * _STRIDE) * batch * _STRIDE
        shop = _Workshop(
            graph=_folded(graph, Path(folder)),
            views=views[:count] if count else np.resize(views, (batch * _STRIDE, *views.shape[1:])),
            folder=Path(folder),
            batch=batch,
        )
        found = _first_that_serves(shop, judge, max_loss, say)
        if found.lost > max_loss:
            found = _with_fallback(shop, found, judge, max_loss, threads, say)
    return Int8(
        graph=found.graph,
        record=Quantised(
            method=f"static, after training, by onnxruntime: {found.way.name}",
            images=len(shop.views),
            per_channel=found.way.per_channel,
            layers=len(shop.layers()) - len(found.kept),
            kept=found.kept,
            tried=tuple(found.tried),
        ),
    )


@dataclass(slots=True, kw_only=True)
class _Found:
    """The best so far."""

    way: _Way
    graph: Any
    lost: float
    tried: list[str]
    kept: tuple[str, ...] = ()


def _first_that_serves(shop: "_Workshop", judge: Judge, max_loss: float, say: Say) -> _Found:
    """Return the first way that loses no more than allowed, else the best of all."""
    tried: list[str] = []
    best: _Found | None = None
    for way in _WAYS:
        graph = shop.make(way)
        lost = judge(graph).counted
        tried.append(f"{way.name}: {lost:+.2f}")
        say(f"int8, {tried[-1]} lost")
        if best is None or lost < best.lost:
            best = _Found(way=way, graph=graph, lost=lost, tried=tried)
        if best.lost <= max_loss:
            break
    assert best is not None
    return best


def _with_fallback(
    shop: "_Workshop", found: _Found, judge: Judge, max_loss: float, threads: int, say: Say
) -> _Found:
    """Return the best with the costliest layers in fp32: as few as serve, of 1, 2, 4, 8… groups."""
    say("int8 loses too much: which layers cost most is measured")
    groups = _ranked(shop, found.way, threads)
    count = 1
    while count <= len(groups) // 2 and found.lost > max_loss:
        kept = tuple(name for group in groups[:count] for name in group)
        graph = shop.make(found.way, kept=kept)
        lost = judge(graph).counted
        found.tried.append(f"{len(kept)} layers left in fp32: {lost:+.2f}")
        say(f"int8, {found.tried[-1]} lost")
        if lost < found.lost:
            found.graph, found.lost, found.kept = graph, lost, kept
        count *= 2
    return found


def _ranked(shop: "_Workshop", way: _Way, threads: int) -> list[list[str]]:
    """Return groups of neighbouring layers, first those that alone move the features farthest."""
    layers, views = shop.layers(), shop.views[:RANKED_ON]
    size = -(-len(layers) // MOST_GROUPS)
    groups = [layers[start : start + size] for start in range(0, len(layers), size)]

    def features(graph: Any) -> NDArray[np.float64]:
        return outputs_of(graph, views, threads=threads, batch=shop.batch, name=FEATURES)

    exact = features(shop.graph)

    def moved(group: list[str]) -> float:
        alone = shop.make(way, kept=[name for name in layers if name not in group])
        return float(np.square(features(alone) - exact).mean())

    return sorted(groups, key=moved, reverse=True)


def _batch_of(graph: Any) -> int:
    """Return the images of every pass; 1 where any number will do."""
    return int(graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value) or 1


def _folded(graph: Any, folder: Path) -> Any:
    """Return the graph with BatchNorm and constants folded in: what int8 shall be measured on."""
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    exact, result = folder / "exact.onnx", folder / FOLDED
    exact.write_bytes(graph.SerializeToString())  # Given a graph itself, it would change it.
    with _quiet():
        quant_pre_process(str(exact), str(result), skip_symbolic_shape=True)
    return _load(result)


def _load(path: Path) -> Any:
    import onnx  # noqa: PLC0415

    return onnx.load(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # It advises to fold first, which is done.
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # It would stand within --json.
            yield
    finally:
        logging.disable(level)


def outputs_of(
    graph: Any, views: NDArray[np.uint8], *, threads: int, batch: int = 16, name: str = OUTPUTS
) -> NDArray[np.float64]:
    """Return what a graph gives for views, shape (n, numbers)."""
    run = onnx_pass(graph.SerializeToString(), threads=threads, any_size=False)
    rows = []
    for start in range(0, len(views), batch):
        chunk = views[start : start + batch]
        short = batch - len(chunk)
        whole = np.concatenate([chunk, np.repeat(chunk[:1], short, axis=0)]) if short else chunk
        rows.append(run(whole, prepared=True)[name][: len(chunk)])
    return np.concatenate(rows).astype(np.float64)


class _Reader:
    """Hands calibration views out one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, views: NDArray[np.uint8], batch: int) -> None:
        self._views, self._batch = views, batch
        self._left: Iterator[NDArray[np.uint8]] = iter(())
        self.set_range(0, len(self))

    def __len__(self) -> int:
        return len(self._views) // self._batch

    def set_range(self, start_index: int, end_index: int) -> None:
        """Go on with these."""
        size = self._batch
        stops = range(start_index * size, end_index * size, size)
        self._left = iter([self._views[start : start + size] for start in stops])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next input; None at the end."""
        views = next(self._left, None)
        return None if views is None else {IMAGES: views}


@dataclass(slots=True)
class _Workshop:
    """A graph that can be quantised again and again: its ranges are measured once for each way."""

    graph: Any
    views: NDArray[np.uint8]
    folder: Path
    batch: int

    def layers(self) -> list[str]:
        """Return the layers with weights, in order."""
        return [node.name for node in self.graph.graph.node if node.op_type in _WEIGHTED]

    def make(self, way: _Way, *, kept: Sequence[str] = ()) -> Any:
        """Return the graph in int8, some layers left as they are."""
        from onnxruntime.quantization import (  # noqa: PLC0415 - an extra, slow to load.
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )

        result = self.folder / "int8.onnx"
        with _quiet():
            quantize_static(
                self.folder / FOLDED,
                result,
                _Reader(self.views, self.batch),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=[*_WEIGHTED, *_BESIDE],
                per_channel=way.per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=list(kept),
                calibrate_method=getattr(CalibrationMethod, way.method),
                calibration_cache_path=self.folder / f"{way.method}.json",
                extra_options={
                    "CalibStridedMinMax": _STRIDE,  # Else all numbers of all images are held at once.
                    "CalibPercentile": 99.99,
                    "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
                },
            )
        return _load(result)
