"""The engines that a frozen backbone can be computed in, and the one at work."""

import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from affinage.errors import ModelError
from affinage.inference import compiled_engine, onnx_engine, openvino_engine, torch_engine
from affinage.inference.pass_through import Frozen, Pass
from affinage.models.classifier import Classifier
from affinage.records.engine import TITLES, EngineName


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """How an engine comes about.

    Attributes:
        name: As settings name it.
        build: From a frozen backbone and a precision to a pass.
        missing: Says why it cannot be used here; empty where it can.
        version: Of the package that computes.
        precision: `fp32` or `bf16`.
        start_seconds: What a start costs at least, from experience: it is not tried for less to gain.
        extra: Of this package, that installs it.
    """

    name: EngineName
    build: Callable[..., Pass]
    missing: Callable[[], str]
    version: Callable[[], str]
    precision: str
    start_seconds: float
    extra: str = ""


def _maker(
    name: EngineName, source: ModuleType, precision: str, start_seconds: float, *, extra: str = ""
) -> Maker:
    return Maker(
        name=name, build=source.build, missing=source.missing, version=source.version,
        precision=precision, start_seconds=start_seconds, extra=extra,
    )  # fmt: skip


MAKERS: tuple[Maker, ...] = (
    _maker("torch", torch_engine, "fp32", 0.0),
    _maker("openvino-bf16", openvino_engine, "bf16", 3.0, extra="openvino"),
    _maker("openvino", openvino_engine, "fp32", 3.0, extra="openvino"),
    _maker("torch-bf16", torch_engine, "bf16", 0.0),
    _maker("onnxruntime", onnx_engine, "fp32", 10.0, extra="onnx"),
    _maker("compiled-bf16", compiled_engine, "bf16", 30.0),
    _maker("compiled", compiled_engine, "fp32", 30.0),
)
"""In the order in which they are tried; the first one is what all others are compared with."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[a-zA-Z]")

_ready: "weakref.WeakKeyDictionary[Classifier, dict[tuple[object, ...], Pass]]" = (
    weakref.WeakKeyDictionary()
)
"""Passes that were built in this process: starting an engine costs seconds. None of them holds the model
that it is kept under, which would then never be let go."""


def maker_of(name: EngineName) -> Maker:
    """Return how an engine comes about."""
    return next(maker for maker in MAKERS if maker.name == name)


def is_ready(name: EngineName, frozen: Frozen) -> bool:
    """Return whether an engine holds this backbone already."""
    return not maker_of(name).start_seconds or _key(name, frozen) in _ready.get(frozen.model, {})


def engine_pass(name: EngineName, frozen: Frozen) -> Pass:
    """Return the pass of an engine, started where it was not.

    The backbone's weights are read when it starts: it must stay frozen from then on.

    Raises:
        ModelError: If it is not installed, or this backbone cannot be had in it.
    """
    maker, key = maker_of(name), _key(name, frozen)
    if maker.build is torch_engine.build:
        return torch_engine.build(
            frozen, precision=maker.precision
        )  # It holds the model, and costs nothing.
    passes = _ready.setdefault(frozen.model, {})
    if key not in passes:
        if frozen.device.type != "cpu":
            raise ModelError(
                f"{TITLES[name]} is used on the processor only, and this computes on {frozen.device}.",
                remedy="Leave compute.engine at auto, or set compute.device=cpu.",
            )
        if lacking := maker.missing():
            raise ModelError(f"{TITLES[name]} cannot be used: {lacking}.", remedy=_remedy(maker))
        passes[key] = _built(maker, frozen)
    return passes[key]


def let_go(frozen: Frozen, *, but: EngineName) -> None:
    """Free the engines that hold this backbone, all but one: each has weights and buffers of its own."""
    passes = _ready.get(frozen.model, {})
    for key in [key for key in passes if key[0] != but]:
        del passes[key]


def _built(maker: Maker, frozen: Frozen) -> Pass:
    try:
        return maker.build(frozen, precision=maker.precision)
    except Exception as error:  # Compilers and converters raise whatever they like.
        raise ModelError(
            f"{TITLES[maker.name]} cannot compute this backbone: {_first_sentence(error)}.",
            remedy="Leave compute.engine at auto, or set it to torch.",
        ) from error


def _first_sentence(error: Exception) -> str:
    """Return what went wrong, without a terminal's colours and the steps that follow."""
    line = _COLOURS.sub("", str(error)).strip().partition("\n")[0][:200]
    return line.partition(". ")[0].rstrip(".: ") or type(error).__name__


def _remedy(maker: Maker) -> str:
    if maker.extra:
        return f"pip install 'affinage[{maker.extra}]', or leave compute.engine at auto."
    return "Leave compute.engine at auto, or set it to torch."


def _key(name: EngineName, frozen: Frozen) -> tuple[object, ...]:
    return (name, frozen.shape, frozen.device, frozen.threads)
