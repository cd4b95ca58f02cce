import numpy as np
import pytest
import torch

from affinage.errors import ModelError
from affinage.models import weights as weights_module
from affinage.models.build import build_backbone, check_name, preprocessing_of, stack
from affinage.models.weights import PACKAGED, packaged_path
from affinage.records.networks import ModelSettings


@pytest.mark.parametrize("known", PACKAGED, ids=lambda known: known.backbone)
def test_packaged_weights_load_strictly_and_are_the_known_ones(known):
    if packaged_path(known) is None:
        pytest.skip(f"{known.package} is not installed")
    backbone = build_backbone(ModelSettings(backbone=known.backbone))
    assert backbone.weights.sha256 == known.sha256
    assert backbone.features == 1280
    assert backbone.preprocessing.mean == (0.5, 0.5, 0.5)


def test_weights_that_were_changed_are_refused(monkeypatch, tmp_path):
    changed = tmp_path / "changed.pth"
    changed.write_bytes(packaged_path(PACKAGED[0]).read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights_module, "packaged_path", lambda _: changed)
    with pytest.raises(ModelError, match="not the known ones"):
        build_backbone(ModelSettings())


def test_a_misspelt_backbone_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match="resnet50"):
        check_name("resnet_50")


def test_weights_that_are_nowhere_are_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(weights_module, "_from_hub", lambda _: (None, "hub"))
    with pytest.raises(ModelError) as caught:
        build_backbone(ModelSettings(backbone="resnet18"))
    assert "model.pretrained=false" in caught.value.remedy
    assert "tf_efficientnet_lite0" in caught.value.remedy


def test_weights_in_the_local_hub_cache_are_used(monkeypatch, tmp_path):
    import huggingface_hub.constants
    import timm
    from safetensors.torch import save_file

    settings = ModelSettings(backbone="mobilenetv3_small_050")
    hub_id = timm.get_pretrained_cfg("mobilenetv3_small_050").hf_hub_id
    torch.manual_seed(1)
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    folder = tmp_path / f"models--{hub_id.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(state, folder / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(
        weights_module,
        "cached_on_disk",
        lambda hub: folder / "snapshots" / "abc" / "model.safetensors" if hub == hub_id else None,
    )
    backbone = build_backbone(settings)
    assert backbone.weights.origin == "cache"
    assert torch.equal(backbone.module.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_random_weights_follow_their_seed():
    settings = ModelSettings(backbone="resnet18", pretrained=False)
    first, second, other = (build_backbone(settings, seed=seed).module for seed in (1, 1, 2))
    assert torch.equal(first.conv1.weight, second.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


def test_the_model_normalises_as_the_backbone_was_trained():
    backbone = build_backbone(ModelSettings())
    model = stack(backbone, classes=2)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8))
    expected = (images.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.5
    assert torch.allclose(model.normalise(images).double(), expected, atol=1e-6)


def test_the_first_loss_is_the_random_guess():
    model = stack(build_backbone(ModelSettings(width=64, height=64)), classes=7).eval()
    images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    loss = torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 3]))
    assert loss.item() == pytest.approx(np.log(7), abs=1e-6)


def test_the_input_size_can_be_chosen():
    preprocessing = preprocessing_of("tf_efficientnet_lite0", width=96, height=64)
    assert (preprocessing.width, preprocessing.height) == (96, 64)
