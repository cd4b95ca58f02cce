import numpy as np
import pytest

from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.training.feeding import Feed, Kept
from affinage.training.plan import Plan


@pytest.fixture
def items(digits):
    paths = sorted(digits.rglob("*.png"))[:24]
    return [Item(content_id(path.read_bytes()), path) for path in paths]


def feed(items, epochs=3, recipe=None, **options):
    return Feed(
        items=items,
        targets=np.arange(len(items)),
        preprocessing=Preprocessing(width=32, height=32),
        recipe=recipe or Recipe(),
        plan=Plan(steps=3 * epochs, steps_per_epoch=3),
        threads=2,
        **options,
    )


def same(one, other):
    return all(
        np.array_equal(a.images, b.images) and np.array_equal(a.targets, b.targets)
        for a, b in zip(one, other, strict=True)
    )


def test_kept_images_change_no_batch_and_no_resumed_one(items, tmp_path):
    plain = list(feed(items).batches())
    kept = Kept(folder=tmp_path / "kept")
    assert same(feed(items, kept=kept).batches(), plain)
    assert len(list(kept.folder.rglob("*.rgb"))) == len(items)
    assert same(feed(items, kept=kept).batches(start=4), plain[4:])


def test_what_is_shown_once_is_not_kept(items, tmp_path):
    list(feed(items, epochs=1, kept=Kept(folder=tmp_path / "kept")).batches())
    assert not (tmp_path / "kept").exists()


def test_a_change_of_the_users_own_gets_every_pixel(items):
    reader = feed(items).pixels()
    assert reader.side == 64
    assert feed(items, transform=lambda pixels, _: pixels).pixels().side is None
    recipe = Recipe()
    off = recipe.compute.model_copy(update={"reduce": False})
    assert feed(items, recipe=recipe.model_copy(update={"compute": off})).pixels().side is None
