import numpy as np
import pytest

from affinage.store.feature_cache import FeatureCache


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(tmp_path, {"backbone": "a"})
    cache.add(["x", "y"], np.array([[1, 2], [3, 4]], np.float32))
    cache.add(["z"], np.array([[5, 6]], np.float32))
    return cache


def test_what_was_kept_is_found(cache):
    found = cache.load(["z", "x", "none"])
    assert found.keys() == {"x", "z"}
    assert found["x"].tolist() == [1, 2]


def test_another_fact_is_another_cache(cache, tmp_path):
    assert FeatureCache(tmp_path, {"backbone": "b"}).load(["x"]) == {}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_forgotten_not_believed(cache, damage):
    for path in cache.folder.glob("*.safetensors"):
        data = bytearray(path.read_bytes())
        if damage == "cut":
            data = data[: len(data) // 2]
        elif damage == "flip":
            data[-1] ^= 0xFF
        else:
            data = bytearray()
        path.write_bytes(bytes(data))
    assert cache.load(["x", "y", "z"]) == {}
    assert not list(cache.folder.glob("*.safetensors"))
