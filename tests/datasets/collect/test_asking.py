import zlib
from email.utils import formatdate

import pytest

from affinage.datasets.collect.asking import retry_after
from affinage.datasets.collect.intake import unpacked
from affinage.datasets.collect.limits import Limits
from affinage.errors import ImageError, RecipeError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("٣", None),
        ("0", 0.0), (" 120 ", 120.0), ("9" * 30, 1e9),
        (formatdate(1060, usegmt=True), 60.0), (formatdate(10, usegmt=True), 0.0),
        ("Thu, 99 Foo 2020", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert retry_after(text, now=1000.0) == seconds


def test_packed_bytes_are_unpacked_up_to_the_limit():
    data = b"image" * 1000
    raw = zlib.compressobj(wbits=-15)
    for encoding, body in {
        "": data,
        "gzip": zlib.compress(data, wbits=31),
        "deflate": zlib.compress(data),
    }.items():
        assert unpacked(body, encoding, len(data)) == data
    assert unpacked(raw.compress(data) + raw.flush(), "deflate", len(data)) == data
    with pytest.raises(ImageError, match="unpacked than the limit"):
        unpacked(zlib.compress(data, wbits=31), "gzip", len(data) - 1)
    with pytest.raises(ImageError, match="cut off"):
        unpacked(zlib.compress(data, wbits=31)[:-9], "gzip", len(data))
    with pytest.raises(ImageError, match="damaged"):
        unpacked(b"no gzip", "gzip", 100)


@pytest.mark.parametrize(
    "wrong",
    [{"concurrency": 0}, {"per_host": 0}, {"rate": 0.0}, {"rate": -1.0}, {"total": 0.0},
     {"retries": -1}, {"max_bytes": 0}, {"read": float("inf")}, {"connect": float("nan")}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(RecipeError):
        Limits(**wrong)
