import polars as pl
import pytest

from affinage.store.measure_cache import COLUMNS, MeasureCache


def rows(*images):
    return pl.DataFrame(
        [
            {"image": image, "hash": 2**64 - 1, "encoding": "PNG", "thumb": b"\x01\x02"}
            for image in images
        ],
        schema=COLUMNS,
    )


@pytest.fixture
def cache(tmp_path):
    cache = MeasureCache(tmp_path, {"decoder": "1"})
    cache.add(rows("x", "y"))
    cache.add(rows("z"))
    return cache


def test_what_was_kept_is_found(cache):
    found = cache.load(["z", "x", "none"])
    assert found.equals(rows("x", "z"))


def test_another_fact_is_another_cache(cache, tmp_path):
    assert MeasureCache(tmp_path, {"decoder": "2"}).load(["x"]).height == 0


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_forgotten_not_believed(cache, damage):
    for path in cache.folder.glob("*.parquet"):
        data = bytearray(path.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data[: {"cut": len(data) // 2, "flip": None, "empty": 0}[damage]]))
    assert cache.load(["x", "y", "z"]).height == 0
    assert not list(cache.folder.glob("*.parquet"))


def test_an_image_kept_twice_is_one_row(cache):
    cache.add(rows("z", "w"))
    assert cache.load(["z", "w"]).height == 2
