import os

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


def kept(root):
    return {path.parent.name for path in root.glob("*/*.safetensors")}


def rows(number, length=100):
    return [f"{number}"], np.full((1, length), number, np.float32)


def size(root):
    return sum(path.stat().st_size for path in root.glob("*/*.safetensors"))


def test_bytes_never_pass_the_limit_and_what_was_not_asked_for_longest_goes_first(tmp_path):
    first, second = (FeatureCache(tmp_path, {"backbone": name}) for name in "ab")
    first.add(*rows(1))
    second.add(*rows(2))
    limit = round(2.5 * size(tmp_path) / 2)
    os.utime(next(second.folder.glob("*.safetensors")), (1, 1))  # Asked for long ago,
    third = FeatureCache(tmp_path, {"backbone": "c"}, limit=limit)
    third.add(*rows(3))
    assert kept(tmp_path) == {first.folder.name, third.folder.name}  # though written later.
    assert size(tmp_path) <= limit


def test_what_is_in_use_stays_and_what_does_not_fit_beside_it_is_not_kept(tmp_path):
    cache = FeatureCache(tmp_path, {"backbone": "a"})
    cache.add(*rows(1))
    again = FeatureCache(tmp_path, {"backbone": "a"}, limit=round(1.5 * size(tmp_path)))
    assert again.load(["1"]).keys() == {"1"}
    again.add(*rows(2))
    assert again.load(["1", "2"]).keys() == {"1"}


def test_a_limit_of_nothing_keeps_nothing(tmp_path):
    FeatureCache(tmp_path, {"backbone": "a"}, limit=0).add(*rows(1))
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_asked_for_is_the_last_to_go(tmp_path):
    for number, name in enumerate("ab"):
        cache = FeatureCache(tmp_path, {"backbone": name})
        cache.add(*rows(number))
        os.utime(next(cache.folder.glob("*.safetensors")), (number + 1, number + 1))
    oldest = FeatureCache(tmp_path, {"backbone": "a"})
    assert oldest.load(["0"])
    limit = round(2.5 * size(tmp_path) / 2)
    FeatureCache(tmp_path, {"backbone": "c"}, limit=limit).add(*rows(3))
    assert oldest.folder.name in kept(tmp_path)
    assert len(kept(tmp_path)) == 2
