import numpy as np
import pytest
import torch

from affinage.errors import RecipeError
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.augment import AugmentSettings
from affinage.training.mixing import Mix, draw_mix, mix_images, mix_targets

SETTINGS = {
    "mixup": AugmentSettings(mixup=0.4),
    "cutmix": AugmentSettings(cutmix=1.0),
    "both": AugmentSettings(mixup=0.2, cutmix=1.0),
}


def draws(settings, count=200):
    return [
        draw_mix(settings, np.random.default_rng(seed), images=6, height=20, width=30)
        for seed in range(count)
    ]


def pixels():
    return torch.randint(
        0, 256, (6, 20, 30, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_targets_are_mixed_in_the_share_of_the_pixels(name):
    marks = torch.arange(6, dtype=torch.uint8).mul(40).view(6, 1, 1, 1).expand(6, 20, 30, 3)
    labels = np.arange(6)
    for mix in draws(SETTINGS[name], 50):
        mixed = mix_images(marks.contiguous(), mix).float().mean(dim=(1, 2, 3)).numpy()
        soft = mix_targets(labels, mix, classes=6)
        assert soft.sum(axis=1) == pytest.approx(1)
        assert soft @ (40.0 * labels) == pytest.approx(mixed, abs=1e-2)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_image_keeps_the_larger_share_of_itself(name):
    for mix in draws(SETTINGS[name]):
        assert 0.5 - 1e-2 <= mix.share <= 1
        assert sorted(mix.partner) == list(range(6))


def test_both_are_done_in_turn():
    kinds = [mix.box is None for mix in draws(SETTINGS["both"])]
    assert 0.4 < np.mean(kinds) < 0.6


def test_nothing_is_drawn_where_both_are_off():
    assert set(draws(AugmentSettings(), 3)) == {None}


def test_shares_follow_the_beta_distribution_folded_in_half():
    shares = [mix.share for mix in draws(AugmentSettings(mixup=1.0), 2000)]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.02)  # Uniform on [0.5, 1].
    strong = [mix.share for mix in draws(AugmentSettings(mixup=8.0), 500)]
    assert np.mean(strong) < 0.65


def test_a_box_of_the_partner_lies_on_the_image():
    images = pixels()
    mix = Mix(partner=np.array([1, 0, 3, 2, 5, 4]), share=1 - 50 / 600, box=(3, 4, 13, 9))
    mixed = mix_images(images, mix)
    assert torch.equal(mixed[0, 4:9, 3:13], images[1, 4:9, 3:13])
    outside = torch.ones(20, 30, dtype=torch.bool)
    outside[4:9, 3:13] = False
    assert torch.equal(mixed[0][outside], images[0][outside])


def test_labels_of_their_own_are_blended_too():
    mix = Mix(partner=np.array([1, 0]), share=0.75, box=None)
    table = np.array([[1, 0, 1], [0, 0, 1]], dtype=np.float32)
    assert mix_targets(table, mix, classes=3).tolist() == [[0.75, 0, 1], [0.25, 0, 1]]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_counts_are_not_mixed(name):
    with pytest.raises(RecipeError, match="half an object is not half a count"):
        parse_recipe(None, ["task=count", f"augment.{name}=0.2"])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_that_mixes_learns(name, small, tmp_path):
    settings = [f"augment.{key}={getattr(SETTINGS[name], key)}" for key in ("mixup", "cutmix")]
    recipe = small.recipe(
        *settings,
        "optimizer.lr=0.01",
        "finetune.epochs=6",
        "model.dropout=0",
        "finetune.batchnorm=adapt",
    )
    points = []
    small.train(recipe, tmp_path, points=points)
    losses = [p.value for p in points if (p.series, p.on) == ("loss", "train (running)")]
    assert losses[-1] < losses[0] < 1.3
