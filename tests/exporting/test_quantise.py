import numpy as np
import onnx
import pytest

from affinage.exporting.loss import loss_of
from affinage.exporting.quantise import outputs_of, quantise
from affinage.imaging.batches import read
from affinage.imaging.decode import decode
from affinage.imaging.resize import prepare
from small_bundles import KIND, bundle_of


@pytest.fixture(scope="module")
def views(photos):
    return np.stack([prepare(decode(read(item)).pixels, KIND) for item in photos])


@pytest.fixture(scope="module")
def judge(graph, views):
    exact = outputs_of(graph, views, threads=1)
    truth = exact.argmax(axis=1).astype(np.float64)

    def judge(other):
        rows = outputs_of(other, views, threads=1)
        return loss_of(bundle_of().reading, exact, rows, truth, allowed=0.5)

    return judge


def test_int8_keeps_answers_in_a_third_of_the_size(graph, views, judge):
    before = graph.SerializeToString()
    found = quantise(graph, views=views, judge=judge, max_loss=10.0, threads=1, say=lambda _: None)
    assert judge(found.graph).lost.value <= 10.0
    assert len(found.graph.SerializeToString()) < 0.3 * len(before)
    assert graph.SerializeToString() == before
    assert found.record.images == 8
    assert found.record.tried


def test_what_costs_too_much_is_left_in_fp32_as_far_as_half(graph, views, judge):
    said = []

    def never(other):
        loss = judge(other)
        return type(loss)(
            metric=loss.metric, before=loss.before, after=loss.after, allowed=0.0,
            lost=type(loss.lost)(value=5.0 - _exact_layers(other), low=0.0, high=9.0, n=12),
        )  # fmt: skip

    found = quantise(graph, views=views, judge=never, max_loss=0.0, threads=1, say=said.append)
    total = found.record.layers + len(found.record.kept)
    assert 0 < len(found.record.kept) <= total / 2
    assert any("left in fp32" in line for line in said)
    kept = {node.name for node in found.graph.graph.node} & set(found.record.kept)
    assert kept == set(found.record.kept)


def _exact_layers(graph):
    """How many layers take their weights as they are, not through a scale."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    weighted = [node for node in graph.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    return sum(node.input[1] in constants for node in weighted)


def test_nothing_is_printed_among_the_results(graph, views, judge, capsys):
    said = []
    quantise(graph, views=views, judge=judge, max_loss=-1e9, threads=1, say=said.append)
    assert any("99.99 %" in line for line in said)  # The way whose calibration prints.
    assert capsys.readouterr().out == ""


def test_the_graph_is_one_that_onnx_accepts(graph, views, judge):
    found = quantise(graph, views=views, judge=judge, max_loss=100.0, threads=1, say=lambda _: None)
    onnx.checker.check_model(found.graph)
