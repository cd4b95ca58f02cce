"""Weights that are not those that were written are never taken for them."""

import pytest
import torch

from affinage.errors import RunError
from affinage.training.checkpoint import load_model, load_training, save_model, save_training


def trained():
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3, 5)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [-1, -80, -200])
def test_one_bit_of_a_training_that_changed_is_noticed(place, tmp_path):
    model, optimizer = trained()
    save_training(tmp_path / "t.safetensors", model, optimizer, step=1)
    assert load_training(tmp_path / "t.safetensors", model, optimizer)["step"] == 1
    flip(tmp_path / "t.safetensors", place)
    with pytest.raises(RunError, match="damaged") as caught:
        load_training(tmp_path / "t.safetensors", model, optimizer)
    assert "resume" in caught.value.remedy


def test_one_bit_of_a_model_that_changed_is_noticed(tmp_path):
    model, _ = trained()
    save_model(tmp_path / "m.safetensors", model, kind="head")
    load_model(tmp_path / "m.safetensors", model)
    flip(tmp_path / "m.safetensors", -1)
    with pytest.raises(RunError, match="damaged"):
        load_model(tmp_path / "m.safetensors", model)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_every_kind_of_number_and_a_single_one_can_be_kept(kind, tmp_path):
    model = torch.nn.Module()
    model.register_buffer("many", torch.tensor([0, 1, 1]).to(kind))
    model.register_buffer("single", torch.tensor(1).to(kind))
    save_model(tmp_path / "m.safetensors", model)
    load_model(tmp_path / "m.safetensors", model)
    assert model.single == 1


def test_a_file_of_before_checksums_is_still_read(tmp_path):
    from safetensors.torch import save_file

    model, _ = trained()
    save_file(model.state_dict(), tmp_path / "m.safetensors", {"affinage": "{}"})
    assert load_model(tmp_path / "m.safetensors", model) == {}


def test_weights_that_share_memory_are_kept_each(tmp_path):
    model = torch.nn.Module()
    table = torch.arange(12.0).reshape(3, 4)
    model.register_buffer("whole", table)
    model.register_buffer("same", table)
    model.register_buffer("column", table[:, 1])
    model.register_buffer(
        "channels_last", torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    )
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_model(tmp_path / "m.safetensors", model)
    for tensor in model.buffers():
        tensor.zero_()
    for name, tensor in model.named_buffers():
        setattr(model, name, tensor.clone())
    load_model(tmp_path / "m.safetensors", model)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.named_buffers())
