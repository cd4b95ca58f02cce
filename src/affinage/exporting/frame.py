"""The way from a frame of any size to the view, as nodes in front of an ONNX graph."""

from typing import Any

from affinage.records.bundle import IMAGES, PREPARED
from affinage.records.preprocessing import Interpolation, Preprocessing

VIEW = "frame_out"
"""Name of the view in the graph, kept so that the proof can look at it."""

MODES: dict[Interpolation, str] = {"bilinear": "linear", "bicubic": "cubic"}
"""Pillow's filters that ONNX has with anti-aliasing."""

_RESIZE = """
<ir_version: 10, opset_import: ["": 18]>
frame (uint8[batch, height, width, 3] images, bool prepared)
    => (uint8[batch, {height}, {width}, 3] frame_out)
<int64[2] frame_view = {{{height}, {width}}}, int64[2] frame_wanted = {{{down}, {across}}},
 int64[1] frame_three = {{3}}, int64[1] frame_two = {{2}}, int64[2] frame_axes = {{2, 3}}>
{{
    frame_size = Shape <start: int = 1, end: int = 3> (images)
    {scaled}
    frame_scaled = Where(prepared, frame_view, frame_covering)
    frame_batch = Shape <start: int = 0, end: int = 1> (images)
    frame_sizes = Concat <axis: int = 0> (frame_batch, frame_three, frame_scaled)
    frame_planes = Transpose <perm: ints = [0, 3, 1, 2]> (images)
    frame_resized = Resize <mode = "{mode}", antialias: int = 1, cubic_coeff_a: float = -0.5,
        exclude_outside: int = 1, coordinate_transformation_mode = "half_pixel">
        (frame_planes, , , frame_sizes)
    frame_rest = Sub(frame_scaled, frame_view)
    frame_half = Div(frame_rest, frame_two)
    frame_odd = Mod(frame_rest, frame_two)
    frame_odd_half = Mod(frame_half, frame_two)
    frame_up = Mul(frame_odd, frame_odd_half)
    frame_start = Add(frame_half, frame_up)
    frame_end = Add(frame_start, frame_view)
    frame_cut = Slice(frame_resized, frame_start, frame_end, frame_axes)
    frame_out = Transpose <perm: ints = [0, 2, 3, 1]> (frame_cut)
}}
"""
# The cut starts at half of the rest, halves rounded to the even number, as in `imaging.resize`.

_WHOLE = "frame_covering = Identity(frame_view)"

_SQUARE = """
    frame_short = ReduceMin <keepdims: int = 1> (frame_size)
    frame_long = ReduceMax <keepdims: int = 1> (frame_size)
    frame_is_short = Equal(frame_size, frame_short)
    frame_times = Mul(frame_wanted, frame_long)
    frame_longer = Div(frame_times, frame_short)
    frame_covering = Where(frame_is_short, frame_wanted, frame_longer)
"""

_RECTANGLE = """
    frame_size_d = Cast <to: int = 11> (frame_size)
    frame_wanted_d = Cast <to: int = 11> (frame_wanted)
    frame_view_d = Cast <to: int = 11> (frame_view)
    frame_ratios = Div(frame_size_d, frame_wanted_d)
    frame_ratio = ReduceMin <keepdims: int = 1> (frame_ratios)
    frame_fitting = Div(frame_size_d, frame_ratio)
    frame_rounded = Round(frame_fitting)
    frame_at_least = Max(frame_rounded, frame_view_d)
    frame_covering = Cast <to: int = 7> (frame_at_least)
"""


def fits_in_graph(preprocessing: Preprocessing) -> bool:
    """Return whether ONNX can resize as the backbone wants it: bilinear or bicubic."""
    return preprocessing.interpolation in MODES


def with_frame(proto: Any, preprocessing: Preprocessing) -> Any:
    """Return a model that takes frames of any size: it resizes with anti-aliasing and cuts the view out.

    The filter is Pillow's to within 2 grey levels (ONNX Runtime computes scales in 32 bits where Pillow
    has 64). The optional input `prepared`, false unless given, says that images are views already.

    Args:
        proto: From views to answers.
        preprocessing: What the model was trained with.
    """
    import onnx  # noqa: PLC0415 - an extra, slow to load.

    # The parser of `onnx` has one name for a bool's initial value only: it is added by hand.
    front = onnx.parser.parse_model(_text(preprocessing)).graph
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    graph = whole.graph
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == IMAGES:
                node.input[place] = VIEW
    nodes = [*front.node, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(front.input)
    graph.initializer.extend(front.initializer)
    graph.initializer.append(onnx.helper.make_tensor(PREPARED, onnx.TensorProto.BOOL, [], [False]))
    whole.ir_version = max(whole.ir_version, 10)
    onnx.checker.check_model(whole)
    return whole


def looked_into(proto: Any, names: tuple[str, ...]) -> bytes:
    """Return the model as bytes with tensors within it as outputs too, for the proof to look at.

    Args:
        proto: The model.
        names: Of these tensors; those that it does not have are left out.
    """
    import onnx  # noqa: PLC0415

    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    there = {name for node in shown.graph.node for name in node.output}
    had = {one.name for one in shown.graph.output}
    kinds = {VIEW: onnx.TensorProto.UINT8}
    for name in names:
        if name in there and name not in had:
            kind = kinds.get(name, onnx.TensorProto.FLOAT)
            shown.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    found: bytes = shown.SerializeToString()
    return found


def _text(preprocessing: Preprocessing) -> str:
    kind = preprocessing
    down, across = int(kind.height / kind.crop), int(kind.width / kind.crop)
    square = _SQUARE if down == across else _RECTANGLE
    return _RESIZE.format(
        height=kind.height,
        width=kind.width,
        down=down,
        across=across,
        scaled=_WHOLE if kind.whole else square,
        mode=MODES[kind.interpolation],
    )
