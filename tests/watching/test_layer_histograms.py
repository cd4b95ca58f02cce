import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from affinage.watching.layer_histograms import BINS, MOST_LAYERS, LayerHistograms, shares


def test_the_first_look_has_no_updates_and_the_next_has_what_changed():
    model = torch.nn.Linear(4, 3)
    looks = LayerHistograms(model)
    (first,) = looks.look(0.5)
    with torch.no_grad():
        model.weight += torch.linspace(-1, 1, 12).reshape(3, 4)
    (second,) = looks.look(1.0)
    assert first.updates == ()
    assert first.change is None
    assert second.step_reach == 1
    assert np.isclose(second.change, np.linspace(-1, 1, 12).std(), atol=1e-6)
    assert second.updates[0] == second.updates[-1] > 0


def test_frozen_layers_and_biases_are_not_looked_at():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert [one.layer for one in LayerHistograms(model).look(1.0)] == ["1.weight"]


def test_a_deep_network_is_looked_at_from_its_first_to_its_last_layer():
    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(40)))
    layers = [one.layer for one in LayerHistograms(model).look(1.0)]
    assert len(layers) == MOST_LAYERS
    assert (layers[0], layers[-1]) == ("0.weight", "39.weight")


def test_looking_changes_no_weight():
    model = torch.nn.Linear(3, 3)
    before = model.weight.detach().clone()
    LayerHistograms(model).look(1.0)
    assert torch.equal(model.weight, before)


def test_a_network_without_trained_layers_has_none():
    assert LayerHistograms(torch.nn.ReLU()).look(1.0) == ()


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_weight_is_in_one_bin(values):
    reach, found = shares(values)
    assert reach == np.abs(values).max()
    if reach:
        assert len(found) == BINS
        assert np.isclose(sum(found), 1, atol=BINS * 1e-5)


def test_weights_that_are_no_numbers_are_in_no_bin():
    reach, found = shares(np.array([1.0, -1.0, np.nan, np.inf], dtype=np.float32))
    assert reach == 1
    assert np.isclose(sum(found), 0.5)
