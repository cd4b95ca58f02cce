import copy

import pytest
import torch

from affinage.errors import ModelError
from affinage.models.build import build_backbone, build_empty, stack
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.models.heads import GeneralisedMeanPool, make_pool
from affinage.records.networks import HeadSettings
from affinage.records.recipe_text import parse_recipe

FAMILIES = ("resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224")
POOLINGS = ("avg", "max", "gem", "mean_deviation", "flatten")


def settings(*given, backbone="resnet18"):
    size = [] if "vit" in backbone else ["model.width=64", "model.height=64"]
    return parse_recipe(
        None, [f"model.backbone={backbone}", "model.pretrained=false", *size, *given]
    ).model


def pixels(model, n=3):
    torch.manual_seed(0)
    height, width = model.preprocessing.height, model.preprocessing.width
    return torch.randint(0, 256, (n, height, width, 3), dtype=torch.uint8)


def model_of(*given, backbone="resnet18", classes=3):
    return stack(build_backbone(settings(*given, backbone=backbone)), classes=classes)


# Pooling.


def test_a_power_of_1_is_the_mean_and_a_large_one_comes_near_the_maximum():
    maps = torch.rand(4, 5, 6, 7) + 0.1
    assert torch.allclose(GeneralisedMeanPool(1.0)(maps), maps.mean((2, 3)), atol=1e-6)
    near = GeneralisedMeanPool(20.0)(maps)
    assert (near <= maps.amax((2, 3)) + 1e-6).all()
    assert (near > GeneralisedMeanPool(3.0)(maps)).all()


@pytest.mark.parametrize("power", [1.0, 3.0, 20.0])
def test_the_generalised_mean_is_its_formula_in_double_precision(power):
    maps = torch.rand(2, 3, 4, 5) * 100 + 1e-3
    expected = maps.double().pow(power).mean((2, 3)).pow(1 / power)
    assert torch.allclose(GeneralisedMeanPool(power)(maps).double(), expected, rtol=1e-5)


def test_the_generalised_mean_is_finite_where_nothing_is_positive():
    maps = -torch.rand(2, 3, 4, 5, requires_grad=True)
    pooled = GeneralisedMeanPool(20.0)(maps)
    pooled.sum().backward()
    assert torch.isfinite(pooled).all()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("backbone", FAMILIES)
def test_every_pooling_of_every_family_gives_as_many_features_as_it_says(backbone, pooling):
    built = build_backbone(settings(f"model.head.pooling={pooling}", backbone=backbone))
    model = stack(built, classes=2).eval()
    assert model.features(pixels(model, 2)).shape == (2, built.features)


def test_the_mean_of_maps_is_what_a_backbone_with_mean_pooling_gives():
    own, ours = model_of().eval(), model_of("model.head.pooling=avg").eval()
    images = pixels(own)
    assert torch.allclose(own.features(images), ours.features(images), atol=1e-5)


def test_tokens_that_stand_for_no_place_are_not_pooled():
    model = model_of("model.head.pooling=avg", backbone="vit_tiny_patch16_224").eval()
    images = pixels(model, 1)
    tokens = model.backbone(model.normalise(images))
    assert tokens.shape[1] == 197
    assert torch.allclose(model.features(images), tokens[:, 1:].mean(1), atol=1e-6)


def test_flattened_maps_depend_on_where_things_are():
    flat = make_pool(HeadSettings(pooling="flatten"))
    maps = torch.rand(1, 2, 3, 3)
    assert not torch.equal(flat(maps), flat(maps.flip(3)))
    assert torch.equal(flat(maps), maps.reshape(1, 18))


def test_a_backbone_that_pools_by_itself_is_refused():
    with pytest.raises(ModelError, match=r"cannot be pooled.*\n.*pooling=backbone"):
        build_backbone(settings("model.head.pooling=gem", backbone="crossvit_tiny_240"))


# Heads.


def test_the_default_head_is_one_layer_under_the_names_it_always_had():
    names = [name for name in model_of().state_dict() if not name.startswith("backbone.")]
    assert names == ["head.weight", "head.bias"]


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh", "selu", "prelu"])
def test_hidden_layers_have_the_units_and_the_activation_asked_for(activation):
    model = model_of(
        "model.head.hidden=16,8", f"model.head.activation={activation}", "model.head.dropout=0.5"
    )
    shapes = [tuple(p.shape) for name, p in model.head.named_parameters() if p.ndim == 2]
    assert shapes == [(16, 512), (8, 16), (3, 8)]
    assert model.head.in_features == 512
    assert model.last.out_features == 3
    assert activation in type(model.head.activation1).__name__.lower()


def test_a_head_without_biases_has_none():
    model = model_of("model.head.hidden=8", "model.head.bias=false")
    assert not any(name.endswith("bias") for name, _ in model.head.named_parameters())
    assert model(pixels(model)).shape == (3, 3)


@pytest.mark.parametrize("given", [(), ("model.head.hidden=16,8",), ("model.head.bias=false",)])
def test_the_first_outputs_are_0_whatever_the_head(given):
    model = model_of(*given).eval()
    assert torch.equal(model(pixels(model)), torch.zeros(3, 3))


def test_the_whole_head_is_the_last_group_and_learns():
    model = model_of("model.head.hidden=16", "model.head.activation=prelu")
    groups = layer_groups(model, unfreeze=0)
    assert set(groups[-1].names) == {
        f"head.{name}" for name in ("hidden1.weight", "hidden1.bias", "activation1.weight",
                                    "last.weight", "last.bias")
    }  # fmt: skip
    set_trainable(model, groups)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # The last layer is 0: what is below it learns from the second step on.
        set_modes(model, batchnorm="frozen")
        loss = torch.nn.functional.cross_entropy(model(pixels(model)), torch.tensor([0, 1, 2]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = model.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved >= {"head.hidden1.weight", "head.last.weight"}
    assert not any(name.startswith("backbone.") for name in moved)


def test_the_heads_dropouts_work_in_a_training_step_and_rest_elsewhere():
    model = model_of("model.head.hidden=64", "model.head.dropout=0.9")
    torch.nn.init.normal_(model.last.weight)
    set_trainable(model, layer_groups(model, unfreeze=0))
    images = pixels(model)
    set_modes(model, batchnorm="frozen")
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_a_copy_of_a_model_drops_out_by_its_own_mode():
    model = model_of("model.head.hidden=8", "model.head.dropout=0.5")
    twin = copy.deepcopy(model)
    twin.train()
    model.eval()
    assert twin.head.dropout1.training
    assert not model.head.dropout1.training


@pytest.mark.parametrize(
    "given",
    [(), ("model.head.pooling=gem", "model.head.hidden=8"), ("model.head.pooling=flatten",)],
)
def test_an_empty_model_takes_the_weights_of_a_trained_one(given):
    model = model_of(*given).eval()
    torch.nn.init.normal_(model.last.weight)
    twin = build_empty(settings(*given), model.preprocessing, classes=3).eval()
    twin.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(twin(pixels(model)), model(pixels(model)))
