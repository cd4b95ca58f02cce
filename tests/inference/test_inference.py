import numpy as np
import pytest
import torch

from affinage.errors import ImageError
from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.inference.features import cached_features
from affinage.inference.forward import Engine, compute_features, compute_logits
from affinage.models.build import build_backbone, stack
from affinage.records.networks import ModelSettings
from affinage.store.feature_cache import FeatureCache

ENGINE = Engine(device=torch.device("cpu"), threads=2, batch_size=8)


@pytest.fixture(scope="module")
def model():
    return stack(build_backbone(ModelSettings(width=64, height=64)), classes=3)


@pytest.fixture(scope="module")
def items(digits):
    paths = sorted(digits.glob("*/*.png"))[:21]
    return [Item(content_id(path.read_bytes()), path) for path in paths]


def test_an_images_features_do_not_depend_on_its_neighbours(model, items):
    together = compute_features(model, items, ENGINE)
    alone = np.concatenate([compute_features(model, [item], ENGINE) for item in items])
    reverse = compute_features(model, items[::-1], ENGINE)[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, reverse)


def test_no_images_give_no_rows(model):
    assert compute_features(model, [], ENGINE).shape == (0, 1280)
    assert compute_logits(model, [], ENGINE).shape == (0, 3)


def test_the_cache_gives_what_was_computed(model, items, tmp_path):
    cache = FeatureCache(tmp_path, {"a": "b"})
    some = cached_features(model, items[:10], ENGINE, cache)
    every = cached_features(model, items, ENGINE, cache)
    again = cached_features(model, items[::-1], ENGINE, cache)
    assert (some.computed, every.computed, again.computed) == (10, 11, 0)
    assert np.array_equal(every.rows, compute_features(model, items, ENGINE))
    assert np.array_equal(again.rows[::-1], every.rows)


def test_progress_counts_to_the_end(model, items):
    seen = []
    compute_features(model, items, ENGINE, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (21, 21)
    assert seen == sorted(seen)


def test_evaluation_leaves_the_model_as_it_was(model, items):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    compute_logits(model, items, ENGINE)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_an_image_that_changed_since_the_scan_is_refused(model, tmp_path, digits):
    path = tmp_path / "a.png"
    path.write_bytes(next(digits.glob("0/*.png")).read_bytes())
    item = Item(content_id(path.read_bytes()), path)
    path.write_bytes(next(digits.glob("1/*.png")).read_bytes())
    with pytest.raises(ImageError, match="changed since the scan"):
        compute_features(model, [item], ENGINE)
