from dataclasses import replace

import numpy as np
import onnx
import pytest

from affinage.errors import ModelError
from affinage.exporting.frame import VIEW
from affinage.exporting.graph import onnx_graph
from affinage.exporting.parity import STAGES, prove
from small_bundles import KIND, LABELS, TEMPERATURE, activate, bundle_of, opened


def test_a_faithful_export_changes_no_answer(original, graph, photos):
    proof = prove(original, *opened(graph, bundle_of()), photos)
    assert proof.parity.images == len(photos)
    assert proof.parity.changed_top1 == 0
    assert tuple(proof.parity.max_abs_difference) == STAGES
    for stage in proof.parity.stages:
        assert stage.allowed is None or stage.max_abs_difference <= stage.allowed
    assert np.array_equal(proof.trained.argmax(1), proof.exported.argmax(1))


def prove_graph(original, graph, photos, bundle=None):
    return prove(original, *opened(graph, bundle or bundle_of()), photos)


def with_weights(graph, name, change):
    """The graph with one of its tensors changed."""
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    for tensor in other.graph.initializer:
        if tensor.name == name:
            values = change(onnx.numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
    return other


def with_activation(graph, *operations):
    """The graph of raw outputs with operations after it, each (kind, attributes, constants)."""
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    name = "raw"
    for node in other.graph.node:
        node.output[:] = [name if one == "outputs" else one for one in node.output]
    for number, (kind, attributes, constants) in enumerate(operations):
        result = "outputs" if number == len(operations) - 1 else f"step{number}"
        given = [name]
        for place, values in enumerate(constants):
            given.append(f"constant{number}_{place}")
            other.graph.initializer.append(onnx.numpy_helper.from_array(values, given[-1]))
        other.graph.node.append(onnx.helper.make_node(kind, given, [result], **attributes))
        name = result
    return other


SOFTMAX = ("Softmax", {"axis": 1}, [])
COOLED = ("Div", {}, [np.array(TEMPERATURE, dtype=np.float32)])


def normalisation(graph):
    """Names of the mean and the squared deviation in the graph."""
    (node,) = [node for node in graph.graph.node if node.op_type == "BatchNormalization"][:1]
    return node.input[3], node.input[4]


def test_another_mean_and_std_are_named(original, graph, photos):
    mean, square = normalisation(graph)
    wrong = with_weights(graph, mean, lambda _: 255 * np.array([0.485, 0.456, 0.406]))
    wrong = with_weights(wrong, square, lambda _: (255 * np.array([0.229, 0.224, 0.225])) ** 2)
    with pytest.raises(ModelError, match=r"'tensor'.*mean/std.*mean 0\.485, 0\.456, 0\.406"):
        prove_graph(original, wrong, photos)


def test_another_order_of_channels_is_named(original, graph, photos):
    swapped = onnx.ModelProto()
    swapped.CopyFrom(graph)
    nodes = list(swapped.graph.node)
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == "images":
                node.input[place] = "swapped"
    order = onnx.helper.make_tensor("bgr", onnx.TensorProto.INT64, [3], [2, 1, 0])
    swapped.graph.initializer.append(order)
    swapped.graph.node.insert(
        0, onnx.helper.make_node("Gather", ["images", "bgr"], ["swapped"], axis=3)
    )
    with pytest.raises(ModelError, match=r"'tensor'.*channel order"):
        prove_graph(original, swapped, photos)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (
            replace(KIND, interpolation="bilinear"),
            "resize filter is bilinear where the run has bicubic",
        ),
        (replace(KIND, crop=0.95), r"centre crop is 0\.95 where"),
        (replace(KIND, whole=True), "whole frame is squeezed where"),
    ],
    ids=["filter", "crop", "squeezed"],
)
def test_another_resize_is_named(original, graph, photos, wrong, named):
    reader, look = opened(graph, bundle_of(wrong))
    with pytest.raises(ModelError, match=rf"'view'.*{named}"):
        prove(original, reader, look, photos)


def test_a_resize_without_antialiasing_in_the_graph_alone_is_found(original, graph, photos):
    reader, look = opened(graph, bundle_of())

    def plain(images, *, prepared):
        found = dict(look(images, prepared=prepared))
        if not prepared:
            found[VIEW] = images[:, :: images.shape[1] // 48, :: images.shape[2] // 48][:, :48, :48]
        return found

    with pytest.raises(ModelError, match=r"'view'.*anti-aliasing"):
        prove(original, reader, plain, photos)


def test_labels_in_another_order_are_named(original, graph, photos):
    bundle = bundle_of(labels=tuple(sorted(LABELS)))
    with pytest.raises(ModelError, match=r"'labels'.*another order: one, two, zero"):
        prove_graph(original, graph, photos, bundle)


def test_outputs_in_another_order_are_named(original, raw_graph, photos):
    order = ("Gather", {"axis": 1}, [np.array([1, 0, 2])])
    moved = with_activation(raw_graph, COOLED, SOFTMAX, order)
    with pytest.raises(ModelError, match=r"'outputs'.*label order.*zero, one"):
        prove_graph(original, moved, photos)


def test_a_missing_activation_is_named(original, raw_graph, photos):
    with pytest.raises(ModelError, match=r"'outputs'.*activation is missing"):
        prove_graph(original, raw_graph, photos)


def test_an_activation_that_is_there_twice_is_named(original, raw_graph, photos):
    twice = with_activation(raw_graph, COOLED, SOFTMAX, SOFTMAX)
    with pytest.raises(ModelError, match=r"'outputs'.*there twice"):
        prove_graph(original, twice, photos)


def test_a_missing_temperature_is_named(original, raw_graph, photos):
    with pytest.raises(ModelError, match=rf"'outputs'.*temperature {TEMPERATURE}"):
        prove_graph(original, with_activation(raw_graph, SOFTMAX), photos)


def test_other_weights_are_found_at_the_features(original, graph, photos):
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "Conv")
    other = with_weights(graph, name, lambda values: 1.05 * values)
    with pytest.raises(ModelError, match=r"'features'.*backbone"):
        prove_graph(original, other, photos)


def test_what_is_not_a_number_is_not_equal(original, raw_graph, photos):
    broken = with_activation(raw_graph, ("Log", {}, []))
    with pytest.raises(ModelError, match="'outputs'"):
        prove_graph(original, broken, photos)


def test_a_reader_that_forgets_rotation_is_found(original, graph, photos):
    reader, look = opened(graph, bundle_of())
    reader.pixels = lambda data: type(reader).pixels(reader, data).transpose(1, 0, 2)
    with pytest.raises(ModelError, match=r"'pixels'.*rotation"):
        prove(original, reader, look, photos)


def test_of_a_lower_precision_numbers_are_only_told(original, graph, photos):
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "Conv")
    other = with_weights(graph, name, lambda values: 1.02 * values)
    reader, look = opened(other, bundle_of(precision="int8"))
    proof = prove(original, reader, look, photos, exact=False)
    allowed = {stage.name: stage.allowed for stage in proof.parity.stages}
    assert allowed["features"] is None
    assert allowed["view"] is not None
    assert proof.parity.max_abs_difference["features"] > 0


def test_a_fixed_batch_is_proved_without_a_frame(original, photos):
    graph = onnx_graph(original.model, activate, batch=1)
    bundle = bundle_of(any_size=False, batch=1)
    proof = prove(original, *opened(graph, bundle), photos)
    assert proof.parity.changed_top1 == 0
