import pytest
import torch

from affinage.errors import ModelError
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import batchnorms
from affinage.models.freeze import (
    Modes,
    frozen_state,
    layer_groups,
    set_modes,
    set_trainable,
    thawed,
)
from affinage.records.networks import ModelSettings

FAMILIES = (
    "tf_efficientnet_lite0",
    "mobilenetv3_small_050",
    "resnet18",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "densenet121",
    "regnety_002",
)


def model_of(name):
    size = {} if "vit" in name else {"width": 64, "height": 64}
    settings = ModelSettings(backbone=name, pretrained=False, drop_path=0.0, **size)
    return stack(build_backbone(settings), classes=3, dropout=0.5)


def steps(model, groups, batchnorm, count=2):
    set_trainable(model, groups)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    height, width = model.preprocessing.height, model.preprocessing.width
    for _ in range(count):
        set_modes(model, batchnorm=batchnorm)
        images = torch.randint(0, 256, (4, height, width, 3), dtype=torch.uint8)
        loss = torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", FAMILIES)
def test_groups_hold_every_weight_once(name):
    model = model_of(name)
    names = [member for group in layer_groups(model) for member in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("batchnorm", ["frozen", "adapt", "recompute"])
@pytest.mark.parametrize("unfreeze", [0, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_frozen_moves_and_the_rest_does(name, unfreeze, batchnorm):
    model = model_of(name)
    groups = layer_groups(model, unfreeze=unfreeze)
    set_trainable(model, groups)
    fixed = frozen_state(model, batchnorm=batchnorm)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    steps(model, groups, batchnorm)
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in fixed.items())
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert unfreeze == 0 or any(
        not torch.equal(after[key], before[key]) for key in groups[-2].names
    )


def test_frozen_batchnorm_is_in_evaluation_mode_in_a_training_step():
    model = model_of("resnet18")
    set_trainable(model, layer_groups(model))
    set_modes(model, batchnorm="frozen")
    assert not any(layer.training for layer in batchnorms(model))
    assert model.drop.training
    for batchnorm in ("adapt", "recompute"):
        set_modes(model, batchnorm=batchnorm)
        assert all(layer.training for layer in batchnorms(model))


@pytest.mark.parametrize("batchnorm", ["frozen", "adapt"])
@pytest.mark.parametrize("name", FAMILIES)
def test_an_evaluation_or_a_wrong_mode_between_two_steps_is_undone(name, batchnorm):
    model = model_of(name)
    set_trainable(model, layer_groups(model, unfreeze=2))
    modes = Modes(model, batchnorm=batchnorm)
    wanted = [module.training for module in model.modules()]
    assert any(wanted)
    assert not all(wanted)
    for training in (False, True):
        model.train(training)
        modes.restore()
        assert [module.training for module in model.modules()] == wanted


def test_a_frozen_block_drops_nothing_out():
    model = stack(
        build_backbone(
            ModelSettings(
                backbone="convnext_atto", pretrained=False, drop_path=0.9, width=64, height=64
            )
        ),
        classes=2,
    )
    set_trainable(model, layer_groups(model, unfreeze=0))
    set_modes(model, batchnorm="frozen")
    images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(model.features(images), model.features(images))


def test_blocks_thaw_from_the_head_down_and_never_beyond_what_is_trained():
    groups = layer_groups(model_of("resnet18"), unfreeze=3)
    total = len(groups) - 1
    for blocks in range(total + 2):
        trained = [group.depth for group in thawed(groups, blocks) if group.trained]
        assert trained == list(range(total - min(blocks, 3), total + 1))


def test_more_blocks_than_there_are_is_refused():
    with pytest.raises(ModelError, match="blocks"):
        layer_groups(model_of("resnet18"), unfreeze=1000)
