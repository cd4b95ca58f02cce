import numpy as np
import pytest
import torch

from affinage.errors import ModelError, RecipeError
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.augment import AugmentSettings
from affinage.training.feeding import Feed
from affinage.training.plan import Plan
from affinage.training.resizing import rungs, weakened

WIDE = Preprocessing(width=400, height=225)


def of(*settings, steps=100):
    return rungs(parse_recipe(None, settings), WIDE, steps)


def test_without_sizes_there_is_one_stretch_as_the_recipe_says():
    (rung,) = of("augment.rotation=30")
    assert (rung.start, rung.stop, rung.preprocessing) == (0, 100, WIDE)
    assert rung.augment.rotation == 30


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("shares", ["null", "0.5,0.3,0.2"])
def test_stretches_cover_every_step_once(steps, shares):
    found = of("finetune.sizes=100,200,400", f"finetune.size_shares={shares}", steps=steps)
    covered = [step for rung in found for step in range(rung.start, rung.stop)]
    assert covered == list(range(steps))


def test_sizes_keep_the_frame_and_strength_grows():
    found = of("finetune.sizes=100,200,400", "augment.rotation=30", "augment.crop=0.4")
    assert [(r.preprocessing.width, r.preprocessing.height) for r in found] == [
        (100, 56), (200, 112), (400, 225),
    ]  # fmt: skip
    assert [r.augment.rotation for r in found] == pytest.approx([15, 22.5, 30])
    assert [r.augment.crop for r in found] == pytest.approx([0.7, 0.55, 0.4])


def test_strength_0_is_off_and_1_unchanged():
    settings = AugmentSettings(rotation=10, brightness=0.2, mixup=0.4, vertical_flip=True)
    assert weakened(settings, 1) == settings
    off = weakened(settings, 0)
    assert (off.rotation, off.brightness, off.mixup, off.crop) == (0, 0, 0, 1)
    assert off.vertical_flip


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("finetune.sizes=200,100",), "must grow"),
        (("finetune.sizes=100,100",), "must grow"),
        (("finetune.sizes=100,200", "finetune.size_shares=1"), "one each"),
        (("finetune.sizes=100,200", "finetune.size_shares=0.5,0.4"), "must give 1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(settings, reason):
    with pytest.raises(RecipeError, match=reason):
        parse_recipe(None, settings)


def test_a_network_of_one_size_says_so_before_the_first_step(small, tmp_path):
    recipe = small.recipe(
        "model.backbone=vit_tiny_patch16_224",
        "model.width=160",
        "model.height=160",
        "finetune.sizes=96,160",
    )
    with pytest.raises(ModelError, match="96 × 96"):
        small.train(recipe, tmp_path)


def test_labels_may_follow_the_size(small):
    recipe = small.recipe("finetune.sizes=24,32", "finetune.epochs=1")
    asked = []

    def targets(size):
        asked.append(size.width)
        return small.labels + 100 * size.width

    feed = Feed(
        items=small.items, targets=targets, preprocessing=Preprocessing(width=32, height=32),
        recipe=recipe, plan=Plan(steps=4, steps_per_epoch=4), threads=1,
    )  # fmt: skip
    batches = list(feed.batches())
    assert asked == [24, 32]
    for batch in batches:
        width = batch.images.shape[2]
        assert width == batch.rung.preprocessing.width
        assert set(batch.targets // 100) == {width}
    assert np.concatenate([b.targets % 100 for b in batches]).sum() == small.labels.sum()


def test_small_images_train_a_network_that_takes_large_ones(small, tmp_path):
    recipe = small.recipe("finetune.sizes=16,32")
    model, ended = small.train(recipe, tmp_path)
    assert ended.steps == 8
    images = torch.zeros((1, 32, 32, 3), dtype=torch.uint8)
    assert model.eval()(images).isfinite().all()
