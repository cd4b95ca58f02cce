"""Colour, blur, noise, erased rectangles, and the lists of RandAugment and TrivialAugment."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from affinage.imaging.augment import augment, generator
from affinage.imaging.decode import decode
from affinage.imaging.effects import blurred, erased, noisy, recolour
from affinage.imaging.policies import CHANGES, STRONGEST, random_changes
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings


@pytest.fixture(scope="module")
def photo():
    from sklearn.datasets import load_sample_image

    return np.ascontiguousarray(cv2.resize(load_sample_image("flower.jpg"), (160, 120)))


def of_torchvision(function, view, *args, **kwargs):
    tensor = torch.from_numpy(view).permute(2, 0, 1)
    return function(tensor, *args, **kwargs).permute(1, 2, 0).numpy()


def gap(one, two):
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


STILL = {
    "brightness": lambda v, s: of_torchvision(tv.adjust_brightness, v, 1 + s),
    "colour": lambda v, s: of_torchvision(tv.adjust_saturation, v, 1 + s),
    "contrast": lambda v, s: of_torchvision(tv.adjust_contrast, v, 1 + s),
    "sharpness": lambda v, s: of_torchvision(tv.adjust_sharpness, v, 1 + s),
    "posterize": lambda v, s: of_torchvision(tv.posterize, v, round(s)),
    "solarize": lambda v, s: of_torchvision(tv.solarize, v, min(s, 255)),
    "autocontrast": lambda v, s: of_torchvision(tv.autocontrast, v),
    "equalize": lambda v, s: of_torchvision(tv.equalize, v),
    "rotate": lambda v, s: of_torchvision(tv.rotate, v, s, tv.InterpolationMode.BILINEAR),
    "identity": lambda v, s: v,
}


@pytest.mark.parametrize("name", STILL)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_each_change_is_that_of_torchvision(photo, name, share):
    change = next(change for change in CHANGES if change.name == name)
    strength = change.least + share * (change.most - change.least)
    ours, theirs = change.apply(photo, strength), STILL[name](photo, strength)
    inner = (slice(35, 85), slice(45, 115)) if change.moves else (slice(2, -2), slice(2, -2))
    assert gap(ours[inner], theirs[inner]) < 1.5


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_change_keeps_shape_and_kind(photo, change):
    for strength in (change.least, change.most, -change.most if change.signed else change.most):
        changed = change.apply(photo, strength)
        assert (changed.shape, changed.dtype) == (photo.shape, np.uint8)
        assert changed.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("change", [c for c in CHANGES if c.name not in ("autocontrast", "equalize")],
                         ids=lambda change: change.name)  # fmt: skip
def test_magnitude_nothing_changes_nothing(photo, change):
    assert gap(change.apply(photo, change.least), photo) < 0.5


@pytest.mark.parametrize(
    "change", [c for c in CHANGES if c.name != "identity"], ids=lambda c: c.name
)
def test_full_magnitude_changes_something(photo, change):
    assert gap(change.apply(photo, change.most), photo) > 0.5


def test_saturation_and_hue_are_those_of_torchvision(photo):
    assert gap(recolour(photo, 0.4, 0), of_torchvision(tv.adjust_saturation, photo, 0.4)) < 1
    assert gap(recolour(photo, 1, 0.2), of_torchvision(tv.adjust_hue, photo, 0.2)) < 2.5
    assert np.ptp(recolour(photo, 0, 0).astype(int), axis=2).max() == 0
    assert np.array_equal(recolour(photo, 1, 0), photo)


def test_a_blur_is_that_of_torchvision(photo):
    theirs = of_torchvision(tv.gaussian_blur, photo, [13, 13], [2.0, 2.0])
    assert gap(blurred(photo, 2.0), theirs) < 0.6
    assert blurred(photo, 0.05) is photo


def test_noise_has_its_deviation_and_its_seed():
    grey = np.full((100, 100, 3), 128, np.uint8)
    one = noisy(grey, 10, 1)
    assert np.std(one.astype(float)) == pytest.approx(10, rel=0.03)
    assert np.array_equal(one, noisy(grey, 10, 1))
    assert not np.array_equal(one, noisy(grey, 10, 2))


@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_an_erased_rectangle_lies_within(numbers, height, width):
    view = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    changed = erased(view, *numbers)
    hit = (changed != view).any(axis=2)
    assert changed.shape == view.shape
    share = 0.02 + numbers[0] * (1 / 3 - 0.02)
    assert hit.sum() <= share * height * width + height + width + 1


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_a_policy_is_determined_by_its_numbers(photo, policy):
    chance = np.random.default_rng(3).random(15)
    views = [
        random_changes(photo, policy, count=3, magnitude=STRONGEST, chance=chance) for _ in range(2)
    ]
    assert np.array_equal(*views)


SETTINGS = (
    {"saturation": 0.5}, {"hue": 0.2}, {"grey": 1.0}, {"blur": 2.0}, {"noise": 0.1}, {"erase": 1.0},
    {"policy": "randaugment", "policy_magnitude": 20}, {"policy": "trivialaugment"},
)  # fmt: skip


@pytest.mark.parametrize("given", SETTINGS, ids=str)
def test_a_setting_changes_the_view_and_no_other_settings_numbers(photo, given):
    size = Preprocessing(width=64, height=64)
    views = [
        augment(photo, size, AugmentSettings(**given), generator(0, 0, str(n))) for n in range(8)
    ]
    plain = [augment(photo, size, AugmentSettings(), generator(0, 0, str(n))) for n in range(8)]
    assert sum(gap(view, other) > 0.1 for view, other in zip(views, plain, strict=True)) >= 5
    with_flip_off = AugmentSettings(**given, brightness=0.0)
    again = augment(photo, size, with_flip_off, generator(0, 0, "0"))
    assert np.array_equal(again, views[0])


def test_the_real_photograph_is_still_what_it_was_without_settings(samples):
    path = sorted((samples / "flowers12" / "train").glob("*/*.jpg"))[0]
    pixels = decode(path.read_bytes()).pixels
    size = Preprocessing(width=64, height=64)
    off = AugmentSettings(horizontal_flip=False, crop=1)
    one = augment(pixels, size, off, generator(0, 0, "a"))
    assert np.array_equal(one, augment(pixels, size, off, generator(9, 9, "b")))
