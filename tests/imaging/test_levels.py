import warnings

import numpy as np
import pytest
import torch

from affinage.imaging.levels import normalised, table_of
from affinage.models.classifier import Classifier
from affinage.records.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def levels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3), (1, 1, 3), (0, 4, 5, 3)])
def test_the_table_gives_what_the_formula_gives(shape):
    images = levels(*shape)
    expected = (images / 255 - np.array(MEAN)) / np.array(STD)
    assert np.allclose(normalised(images, table_of(MEAN, STD)), expected, atol=1e-5)


def test_it_writes_where_it_is_told():
    batch = np.zeros((3, 4, 5, 3), dtype=np.float32)
    view = levels(4, 5, 3)
    assert normalised(view, table_of(MEAN, STD), out=batch[1]) is not None
    assert np.array_equal(batch[1], normalised(view, table_of(MEAN, STD)))
    assert not batch[[0, 2]].any()


def test_a_model_sees_the_same_bits_by_the_table_and_by_arithmetic():
    model = Classifier(
        torch.nn.Identity(), Preprocessing(mean=MEAN, std=STD), features=3, outputs=2
    )
    images = torch.from_numpy(levels(2, 6, 7, 3))
    by_table = model.normalise(images)
    assert torch.equal(by_table, model.normalise(images.float()))
    assert by_table.shape == (2, 3, 6, 7)
    assert by_table.is_contiguous(memory_format=torch.channels_last)
    cut = torch.from_numpy(levels(4, 6, 7, 3))[::2]
    assert torch.equal(model.normalise(cut), model.normalise(cut.float()))
    assert model.normalise(images[:0]).shape == (0, 3, 6, 7)


def test_an_exported_model_computes_it_itself():
    model = Classifier(
        torch.nn.Flatten(), Preprocessing(mean=MEAN, std=STD), features=60, outputs=2
    )
    images = torch.from_numpy(levels(1, 4, 5, 3))
    exported = torch.export.export(model.eval(), (images,)).module()
    other = torch.from_numpy(np.ascontiguousarray(255 - images.numpy()))
    assert torch.allclose(exported(other), model(other), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Deprecated, but it is how OpenVINO reads a model.
        traced = torch.jit.trace(model, images)
    assert torch.allclose(traced(other), model(other), atol=1e-6)
