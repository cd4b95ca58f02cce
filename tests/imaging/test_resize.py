import numpy as np
import pytest
import torch
from odd_files import real, scene
from PIL import Image
from timm.data import create_transform

from affinage.imaging.decode import decode
from affinage.imaging.resize import prepare, view_box
from affinage.records.preprocessing import Preprocessing


def by_timm(pixels, preprocessing):
    transform = create_transform(
        (3, preprocessing.height, preprocessing.width),
        interpolation=preprocessing.interpolation,
        crop_pct=preprocessing.crop,
        normalize=False,
    )
    view = transform(Image.fromarray(pixels))
    assert view.dtype == torch.uint8
    return view.permute(1, 2, 0).numpy()


def compare(pixels, preprocessing):
    ours, theirs = prepare(pixels, preprocessing), by_timm(pixels, preprocessing)
    assert ours.shape == theirs.shape
    assert ours.dtype == np.uint8
    gap = np.abs(ours.astype(int) - theirs)
    assert gap.max() <= 2
    assert (gap > 1).mean() < 1e-3


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "shape", [(224, 224), (300, 500), (501, 333), (32, 32), (50, 47), (1000, 700), (97, 1003)]
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_the_view_is_timms(shape, interpolation):
    compare(scene(*shape), Preprocessing(interpolation=interpolation))
    compare(noise(*shape), Preprocessing(interpolation=interpolation))


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (32, 32), (211, 640)])
@pytest.mark.parametrize("size", [(224, 224), (160, 320), (299, 240), (7, 5)])
@pytest.mark.parametrize("crop", [0.8, 0.875, 0.95, 1.0])
def test_the_view_is_timms_for_every_frame(shape, size, crop):
    compare(noise(*shape), Preprocessing(height=size[0], width=size[1], crop=crop))


@pytest.mark.parametrize("shape", [(224, 224), (300, 500), (448, 448)])
def test_the_nearest_pixel_is_timms_but_for_ties(shape):
    preprocessing = Preprocessing(interpolation="nearest")
    ours, theirs = prepare(scene(*shape), preprocessing), by_timm(scene(*shape), preprocessing)
    assert (ours != theirs).any(axis=2).mean() < 0.02


@pytest.mark.parametrize("path", real("*/*/**/*.jpg", 400)[::40], ids=lambda path: path.name)
def test_the_view_of_a_photo_is_timms(path):
    compare(decode(path.read_bytes()).pixels, Preprocessing())


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("size", [(224, 224), (64, 128)])
def test_a_panorama_of_one_pixel_is_prepared(shape, size):
    preprocessing = Preprocessing(height=size[0], width=size[1])
    assert prepare(noise(*shape), preprocessing).shape == (*size, 3)


def test_an_even_grey_stays_even():
    pixels = np.full((77, 130, 3), 200, np.uint8)
    assert (prepare(pixels, Preprocessing()) == 200).all()


def test_stripes_finer_than_the_view_become_grey_not_moire():
    pixels = np.zeros((1200, 1200, 3), np.uint8)
    pixels[:, ::2] = 255
    view = prepare(pixels, Preprocessing(crop=1.0))
    assert np.abs(view.astype(int) - 127).max() <= 12


@pytest.mark.parametrize("shape", [(1, 5000), (333, 500), (224, 224), (3, 3)])
def test_the_box_lies_within_the_image(shape):
    left, top, right, bottom = view_box(*shape, Preprocessing(crop=0.9))
    assert 0 <= left < right <= shape[1]
    assert 0 <= top < bottom <= shape[0]


def test_the_input_is_left_alone():
    pixels = scene(100, 140)
    before = pixels.copy()
    view = prepare(pixels, Preprocessing())
    view[:] = 0
    assert np.array_equal(pixels, before)


def test_a_part_of_a_larger_array_and_a_read_only_one_are_prepared_alike():
    pixels = noise(90, 120)
    expected = prepare(pixels[10:, 5:].copy(), Preprocessing())
    assert np.array_equal(prepare(pixels[10:, 5:], Preprocessing()), expected)
    pixels.flags.writeable = False
    assert prepare(pixels, Preprocessing()).flags.writeable
