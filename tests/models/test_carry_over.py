import pytest
import torch

from affinage.errors import ModelError
from affinage.models.build import build_backbone, stack
from affinage.models.carry_over import carry_over
from affinage.records.recipe_text import parse_recipe

OLD = ("ant", "bee", "cat")


def model_of(outputs, *settings, backbone="three_conv", seed=0, fill=None):
    small = ["model.three_conv.dense=16"] if backbone == "three_conv" else []
    given = [f"model.backbone={backbone}", "model.pretrained=false", *small, *settings]
    model = stack(build_backbone(parse_recipe(None, given).model, seed=seed), classes=outputs)
    if fill is not None:
        torch.manual_seed(fill)
        torch.nn.init.normal_(model.last.weight)
        torch.nn.init.normal_(model.last.bias)
    return model.eval()


def close(found, expected):
    """Equal but for the order of sums, which the number of outputs changes."""
    return torch.allclose(found, expected, atol=1e-5)


@pytest.fixture
def trained():
    return model_of(3, seed=1, fill=2)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_the_same_labels_in_another_order_give_the_same_outputs_in_that_order(trained, images):
    model = model_of(3)
    carried = carry_over(trained.state_dict(), OLD, model, ("cat", "ant", "bee"))
    assert close(model(images), trained(images)[:, [2, 0, 1]])
    assert (carried.kept, carried.new, carried.dropped) == (("cat", "ant", "bee"), (), ())
    assert carried.weights == carried.of == sum(p.numel() for p in model.parameters())
    assert (carried.fresh, carried.left) == ((), ())


def test_new_labels_begin_at_0_and_old_ones_go_on(trained, images):
    model = model_of(4)
    carried = carry_over(trained.state_dict(), OLD, model, ("ape", "bee", "cat", "dog"))
    assert close(model(images)[:, 1:3], trained(images)[:, 1:])
    assert torch.equal(model(images)[:, [0, 3]], torch.zeros(5, 2))
    assert (carried.kept, carried.new, carried.dropped) == (
        ("bee", "cat"), ("ape", "dog"), ("ant",),
    )  # fmt: skip
    assert carried.of - carried.weights == 2 * (16 + 1)
    for word in ("2 labels kept", "ape, dog", "ant"):
        assert word in carried.summary


def test_a_head_with_several_numbers_for_each_label_keeps_all_of_them(images):
    trained, model = model_of(6, seed=1, fill=2), model_of(8)
    carry_over(trained.state_dict(), OLD, model, ("dog", *OLD))
    old, new = trained(images).reshape(5, 2, 3), model(images).reshape(5, 2, 4)
    assert close(new[..., 1:], old)
    assert torch.equal(new[..., 0], torch.zeros(5, 2))


def test_hidden_layers_are_carried_and_the_last_by_rows(images):
    hidden = ("model.head.hidden=8",)
    trained, model = model_of(3, *hidden, seed=1, fill=2), model_of(4, *hidden)
    carry_over(trained.state_dict(), OLD, model, ("dog", *OLD))
    assert close(model(images)[:, 1:], trained(images))


@pytest.mark.parametrize(("outputs", "settings"), [(3, ("model.head.hidden=8",)), (6, ())])
def test_a_head_of_another_make_begins_anew_and_says_so(trained, images, outputs, settings):
    model = model_of(outputs, *settings)
    carried = carry_over(trained.state_dict(), OLD, model, OLD)
    assert torch.equal(model(images), torch.zeros(5, outputs))
    assert carried.kept == ()
    assert carried.new == OLD
    assert any(name.startswith("head.") for name in carried.left)
    assert torch.equal(model.features(images), trained.features(images))


def test_biases_that_have_no_place_are_left_behind_and_named(trained):
    carried = carry_over(trained.state_dict(), OLD, model_of(3, "model.head.bias=false"), OLD)
    assert (carried.kept, carried.left) == (OLD, ("head.bias",))


def test_statistics_are_carried_too():
    trained = model_of(2, backbone="resnet18", seed=1)
    trained.train()(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))
    model = model_of(2, backbone="resnet18", seed=2)
    carry_over(trained.state_dict(), ("a", "b"), model, ("b", "a"))
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in trained.state_dict().items())


def test_what_depends_on_the_inputs_size_begins_anew_and_is_named(trained):
    model = model_of(3, "model.width=64", "model.height=64")
    before = model.state_dict()["backbone.dense.weight"].clone()
    carried = carry_over(trained.state_dict(), OLD, model, OLD)
    assert carried.fresh == ("backbone.dense.weight",)
    assert torch.equal(model.state_dict()["backbone.dense.weight"], before)
    assert "backbone.dense.weight" in carried.summary


def test_a_cut_backbone_and_the_whole_one_share_what_both_have():
    cut = ("model.head.pooling=mean_deviation", "model.head.layers=2,3")
    whole, middle = model_of(3, backbone="resnet18"), model_of(3, *cut, backbone="resnet18", seed=5)
    to_middle = carry_over(whole.state_dict(), OLD, middle, OLD)
    assert torch.equal(
        middle.state_dict()["backbone.network.conv1.weight"],
        whole.state_dict()["backbone.conv1.weight"],
    )
    assert to_middle.fresh == ("head.weight", "head.bias")
    assert to_middle.kept == ()
    back = model_of(3, backbone="resnet18", seed=7)
    to_whole = carry_over(middle.state_dict(), OLD, back, OLD)
    assert 0 < to_whole.weights < to_whole.of
    state, first = back.state_dict(), whole.state_dict()
    assert all(name in to_whole.fresh or torch.equal(state[name], first[name]) for name in state)


def test_another_network_is_refused(trained):
    with pytest.raises(ModelError, match="fits this backbone"):
        carry_over(trained.state_dict(), OLD, model_of(3, backbone="resnet18"), OLD)


def test_a_copy_of_the_old_model_is_left_as_it_was(trained):
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    model = model_of(3)
    carry_over(trained.state_dict(), OLD, model, OLD)
    torch.nn.init.zeros_(model.last.weight)
    assert all(torch.equal(trained.state_dict()[name], before[name]) for name in before)
