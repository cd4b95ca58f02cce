import numpy as np
import pytest
import timm
import torch

from affinage.errors import ModelError, RecipeError
from affinage.models.build import build_backbone, stack
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.models.heads import AveragePool, MeanDeviationPool
from affinage.models.middle import MiddleMaps
from affinage.records.recipe_text import dump_recipe, load_recipe, parse_recipe

FAMILIES = ("resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224")
SEVERAL = ("model.head.pooling=mean_deviation", "model.head.layers=2,3")


def backbone_of(name, *given):
    return build_backbone(
        parse_recipe(None, [f"model.backbone={name}", "model.pretrained=false", *given]).model
    )


def images(backbone, n=2):
    torch.manual_seed(0)
    size = (backbone.preprocessing.height, backbone.preprocessing.width)
    return torch.randint(0, 256, (n, *size, 3), dtype=torch.uint8)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_the_pooled_maps_of_a_backbone_that_was_not_cut(name):
    backbone = backbone_of(name, *SEVERAL)
    model = stack(backbone, classes=2).eval()
    torch.manual_seed(0)
    whole = timm.create_model(name, num_classes=0).eval()
    whole.load_state_dict(backbone.module.network.state_dict(), strict=False)
    pixels = images(backbone)
    with torch.inference_mode():
        maps = whole.forward_intermediates(model.normalise(pixels), intermediates_only=True)
        wanted = [
            statistic(maps[-layer], (2, 3))
            for layer in (3, 2)
            for statistic in (torch.mean, lambda x, axes: x.std(axes, correction=0))
        ]
        features = model.features(pixels)
    assert torch.allclose(features, torch.cat(wanted, 1), atol=2e-3)
    assert features.shape == (2, backbone.features)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_comes_after_the_deepest_map_is_cut_off(name):
    def weights(*given):
        return sum(p.numel() for p in backbone_of(name, *given).module.parameters())

    assert weights(*SEVERAL) < weights()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_is_in_one_group_and_learns(name):
    model = stack(backbone_of(name, *SEVERAL), classes=2)
    groups = layer_groups(model)
    assert sorted(n for group in groups for n in group.names) == sorted(
        n for n, _ in model.named_parameters()
    )
    set_trainable(model, groups)
    set_modes(model, batchnorm="frozen")
    torch.nn.init.normal_(model.head.weight)
    model(images(model)).square().sum().backward()
    still = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert still == []


def test_half_unfrozen_is_the_half_nearest_the_head():
    groups = layer_groups(stack(backbone_of("resnet18", *SEVERAL), classes=2), unfreeze=2)
    assert [group.trained for group in groups][-3:] == [True, True, True]
    assert not any(group.trained for group in groups[:-3])


def test_mean_and_deviation_are_numpys():
    maps = torch.randn(2, 3, 4, 5) * 3 + 1
    pooled = MeanDeviationPool()(maps).numpy()
    assert np.allclose(pooled[:, :3], maps.numpy().mean((2, 3)), atol=1e-5)
    assert np.allclose(pooled[:, 3:], maps.numpy().std((2, 3)), atol=1e-5)


def test_a_constant_map_has_a_finite_gradient():
    maps = torch.ones(1, 2, 3, 3, requires_grad=True)
    MeanDeviationPool()(maps).sum().backward()
    assert maps.grad.isfinite().all()


def test_features_of_other_depths_are_not_taken_for_these():
    names = {
        backbone_of("resnet18", "model.head.pooling=avg", *layers).identity
        for layers in ((), ("model.head.layers=2",), ("model.head.layers=1,2",))
    }
    assert len(names) == 3


def test_a_depth_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match="has 5 depths"):
        backbone_of("resnet18", "model.head.pooling=avg", "model.head.layers=6")


def test_a_backbone_without_inner_maps_is_refused():
    with pytest.raises(ModelError, match=r"'own' does not give the maps"):
        MiddleMaps(torch.nn.Conv2d(3, 4, 3), AveragePool(), layers=(2,), name="own")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("model.head.layers=2",), "before the backbone pools them"),
        (("model.head.layers=2,2", "model.head.pooling=avg"), "a depth twice"),
        (("model.backbone=three_conv", "model.head.layers=2", "model.head.pooling=avg"), "alone"),
        (("model.head.layers=0", "model.head.pooling=avg"), "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_pooled_together_is_refused(given, why):
    with pytest.raises(RecipeError, match=why):
        parse_recipe(None, given)


@pytest.mark.parametrize(
    ("given", "layers", "pooling"),
    [
        ((), (2, 3, 4), "mean_deviation"),
        (("model.head.pooling=backbone",), (), "backbone"),
        (("model.head.pooling=max",), (), "max"),
        (("model.head.layers=1,2",), (1, 2), "mean_deviation"),
        (("model.head.layers=1,2", "model.head.pooling=avg"), (1, 2), "avg"),
        (("model.backbone=three_conv",), (), "backbone"),
        (("model.pretrained=false",), (), "backbone"),
    ],
)
def test_counts_stand_on_several_depths_unless_told_otherwise(given, layers, pooling):
    recipe = parse_recipe(None, ["task=count", *given])
    assert (recipe.model.head.layers, recipe.model.head.pooling) == (layers, pooling)
    assert load_recipe(dump_recipe(recipe)) == recipe
