"""Uncompressed files that were cut off and filled with zeros, and honest ones that end in black."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_files import real
from PIL import Image

from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.zero_tail import check_tail

PHOTOS = real("flowers12/train/*/*.jpg", 4)
CELLS = real("malaria/test/*/*.*", 40)
KINDS = ("BMP", "TIFF")


def written(pixels, kind):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, kind)
    return held.getvalue()


def pixels_of(path):
    return np.array(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("photo", PHOTOS)
def test_a_photograph_cut_in_a_row_and_filled_with_zeros_is_refused(photo, share, kind):
    pixels = np.maximum(pixels_of(photo), 1)
    data = written(pixels, kind)
    row = pixels.shape[1] * 3
    stop = len(data) - len(data) * (1 - share)
    middle = int(stop // row * row + row // 2)
    with pytest.raises(ImageError, match="truncated: the last"):
        decode(data[:middle] + bytes(len(data) - middle))
    assert decode(data).format == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", CELLS)
def test_an_outline_on_black_is_no_cut(cell, kind):
    pixels = pixels_of(cell)
    low = np.zeros((2 * len(pixels), *pixels.shape[1:]), np.uint8)
    for place in (slice(None, len(pixels)), slice(len(pixels), None)):
        framed = low.copy()
        framed[place] = pixels
        assert (decode(written(framed, kind)).pixels == framed).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("photo", PHOTOS)
def test_a_black_margin_is_no_cut(photo, kind):
    pixels = pixels_of(photo)
    for margin in (pixels[: len(pixels) // 2], pixels[len(pixels) // 2 :], pixels[:, ::2]):
        framed = pixels.copy()
        framed[: len(margin), : margin.shape[1]] = 0
        for turned in (framed, np.ascontiguousarray(framed[::-1, ::-1])):
            assert (decode(written(turned, kind)).pixels == turned).all()


@given(st.integers(2, 40), st.integers(16, 60), st.data())
def test_only_a_cut_inside_a_row_is_told(rows, stride, data):
    end = data.draw(st.integers(0, rows * stride))
    pixels = b"\x07" * end + bytes(rows * stride - end)
    inside = end > stride and 0 < end % stride <= stride - 8
    if inside and rows * stride - end >= 0.05 * rows * stride:
        with pytest.raises(ImageError):
            check_tail(pixels, stride)
    elif not inside:
        check_tail(pixels, stride)
