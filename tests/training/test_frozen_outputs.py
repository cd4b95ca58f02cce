"""Where views repeat, frozen layers compute once, and nothing else differs."""

import numpy as np
import pytest
import torch
from torch import nn

from affinage.models.build import build_backbone, stack
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.models.frozen_part import difference, find_frozen_part, frozen_output, in_place_of
from affinage.records.recipe_text import parse_recipe

STILL = (
    "augment.crop=1",
    "augment.horizontal_flip=false",
    "finetune.unfreeze=1",
    "finetune.epochs=4",
)
FAMILIES = (
    "test_resnet",
    "test_efficientnet",
    "test_convnext",
    "test_vit",
    "mobilenetv3_small_050",
)


def ready(name, *, unfreeze, batchnorm="adapt"):
    recipe = parse_recipe(None, [f"model.backbone={name}", "model.pretrained=false"])
    model = stack(build_backbone(recipe.model), classes=3, dropout=0.3)
    set_trainable(model, layer_groups(model, unfreeze=unfreeze))
    set_modes(model, batchnorm=batchnorm)
    size = model.preprocessing
    pixels = np.random.default_rng(0).integers(0, 256, (6, size.height, size.width, 3))
    return model, torch.from_numpy(pixels.astype(np.uint8))


@pytest.mark.parametrize("unfreeze", [0, 1, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_goes_on_from_what_was_kept(name, unfreeze):
    model, images = ready(name, unfreeze=unfreeze)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    part = find_frozen_part(model, images)
    assert difference(model, part, images, batch=4) < 1e-5
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
    frozen = {id(p) for module in part.modules for p in module.parameters()}
    left = [n for n, p in model.named_parameters() if not p.requires_grad and id(p) not in frozen]
    assert all("token" in name or "pos_embed" in name for name in left)


def test_nothing_stands_before_a_network_that_is_trained_whole():
    model, images = ready("test_resnet", unfreeze="all")
    assert find_frozen_part(model, images) is None


class Around(nn.Module):
    """Trained layers that see what frozen ones gave at two depths."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        early = self.network.conv1(images)
        return self.network(images) + early.mean()


def test_a_path_around_the_last_frozen_layer_is_found_out():
    model, images = ready("test_resnet", unfreeze=1)
    model.backbone = Around(model.backbone)
    part = find_frozen_part(model, images)
    assert part is None or difference(model, part, images, batch=4) > 1e-3


def test_who_looks_sees_real_maps_and_the_model_goes_on_from_what_was_kept():
    model, images = ready("test_resnet", unfreeze=1)
    part = find_frozen_part(model, images)
    kept = frozen_output(model, part, images) + 1
    seen, spent = [], []
    part.modules[0].register_forward_hook(lambda *given: seen.append(given[2].clone()))
    with torch.no_grad():
        torch.manual_seed(0)
        with in_place_of(model, part, kept):
            short = model.features(torch.zeros_like(images))
        torch.manual_seed(0)
        with in_place_of(model, part, kept, real=spent.append):
            looked = model.features(images)
        torch.manual_seed(0)
        whole = model.features(images)
    assert not seen[0].any()
    assert torch.equal(seen[1], seen[2])
    assert torch.equal(looked, short)
    assert not torch.allclose(whole, short)
    assert len(spent) == 1


def trained(small, folder, *settings, **options):
    recipe = small.recipe(*STILL, *settings)
    model, ended = small.train(recipe, folder, **options)
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}, ended


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("finetune.batchnorm=adapt", "optimizer.accumulate=2"),
        ("augment.views=2", "augment.crop=0.5", "loss.balance=sampler"),
        ("finetune.gradual=1", "finetune.ema=0.9"),
        ("finetune.unfreeze=0", "finetune.layer_decay=1"),
    ],
)
def test_weights_are_those_of_a_training_that_computes_everything(settings, small, tmp_path):
    with_it, ended = trained(small, tmp_path / "kept", *settings)
    without, plain = trained(small, tmp_path / "plain", *settings, "compute.frozen_cache=0")
    assert "computed once" in ended.frozen_outputs
    assert "frozen_cache is 0" in plain.frozen_outputs
    gaps = [
        float((with_it[key].float() - tensor.float()).abs().max())
        for key, tensor in without.items()
    ]
    assert max(gaps) < 1e-4


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("augment.crop=0.5",), "new views in every epoch"),
        (("augment.mixup=0.4",), "blend"),
        (("finetune.sizes=[32,48]",), "grow"),
        (("finetune.epochs=1",), "no view is shown twice"),
        (("augment.views=4", "augment.crop=0.5"), "no view is shown twice"),
        (("compute.frozen_cache=0.000001",), "more than the 1e-06 GB"),
    ],
)
def test_it_says_why_not(settings, reason, small, tmp_path):
    _, ended = trained(small, tmp_path, *settings)
    assert reason in ended.frozen_outputs


def test_a_network_trained_whole_says_nothing(small, tmp_path):
    assert trained(small, tmp_path, "finetune.unfreeze=all")[1].frozen_outputs == ""
