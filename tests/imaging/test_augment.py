import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_files import scene
from PIL import Image

from affinage.imaging.augment import Chance, augment, generator, random_box
from affinage.imaging.resize import prepare
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

OFF = AugmentSettings(horizontal_flip=False, crop=1)
SMALL = Preprocessing(width=64, height=64)


def augmented(pixels, preprocessing=SMALL, seed=0, epoch=0, image="a", **changes):
    return augment(
        pixels, preprocessing, OFF.model_copy(update=changes), generator(seed, epoch, image)
    )


@pytest.mark.parametrize("shape", [(48, 64), (300, 200), (1, 500)])
def test_with_all_off_the_view_is_the_prepared_one(shape):
    assert np.array_equal(augmented(scene(*shape)), prepare(scene(*shape), SMALL))


def test_the_same_names_give_the_same_view():
    on = {"crop": 0.5, "rotation": 20, "brightness": 0.2, "horizontal_flip": True}
    assert np.array_equal(augmented(scene(), **on), augmented(scene(), **on))


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"image": "b"}])
def test_another_name_gives_another_view(other):
    on = {"crop": 0.5}
    assert not np.array_equal(augmented(scene(), **on), augmented(scene(), **on, **other))


def test_draws_of_one_epoch_differ():
    assert generator(0, 0, "a", 0).random() != generator(0, 0, "a", 1).random()
    assert generator(1, 23, "a").random() != generator(12, 3, "a").random()


def test_any_identity_makes_a_generator():
    assert 0 <= generator(0, 0, "Größe/\udcff.png").random() < 1


def test_random_numbers_are_even_over_images():
    drawn = np.array([generator(0, 0, str(image)).random(2) for image in range(4000)])
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.02
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05


def test_flips_are_mirrors_of_the_view():
    views = [
        augmented(scene(), horizontal_flip=True, vertical_flip=True, image=str(i))
        for i in range(40)
    ]
    plain = prepare(scene(), SMALL)
    expected = [plain, plain[:, ::-1], plain[::-1], plain[::-1, ::-1]]
    found = [
        next(i for i, one in enumerate(expected) if np.array_equal(view, one)) for view in views
    ]
    assert set(found) == {0, 1, 2, 3}


def test_one_setting_does_not_move_another():
    """Two runs that differ in one setting must see the same crops."""
    plain = augmented(scene(), crop=0.5)
    brighter = augmented(scene(), crop=0.5, brightness=0.5)
    ratio = brighter[plain > 20].astype(float).mean() / plain[plain > 20].mean()
    assert 0.5 <= ratio <= 1.5
    assert np.corrcoef(plain.ravel(), brighter.ravel())[0, 1] > 0.95


def test_a_quarter_turn_is_numpys():
    pixels = scene(64, 64)
    preprocessing = Preprocessing(width=64, height=64, crop=1.0)
    random = FixedTurn(1.0)
    view = augment(pixels, preprocessing, OFF.model_copy(update={"rotation": 90}), random)
    assert np.abs(view.astype(int) - np.rot90(pixels)).max() <= 1


def test_a_turn_agrees_with_pillows():
    pixels = cv2.GaussianBlur(scene(128, 128), (0, 0), 3)
    preprocessing = Preprocessing(width=128, height=128, crop=1.0)
    view = augment(pixels, preprocessing, OFF.model_copy(update={"rotation": 30}), FixedTurn(1.0))
    expected = np.asarray(Image.fromarray(pixels).rotate(30, Image.Resampling.BILINEAR))
    middle = slice(40, 88)
    assert np.abs(view[middle, middle].astype(int) - expected[middle, middle]).max() <= 2


def test_a_flip_with_the_smallest_turn_is_that_flip():
    pixels = cv2.GaussianBlur(scene(128, 128), (0, 0), 2)
    preprocessing = Preprocessing(width=128, height=128, crop=1.0)
    turned = OFF.model_copy(update={"rotation": 1e-9, "horizontal_flip": True})
    view = augment(pixels, preprocessing, turned, FixedTurn(1.0, mirrored=0.0))
    assert np.abs(view.astype(int) - pixels[:, ::-1]).max() <= 1


class FixedTurn:
    """Stands in for a Generator: every number is 0.5 but the turn and the mirror."""

    def __init__(self, turn, mirrored=0.5):
        self.turn, self.mirrored = turn, mirrored

    def random(self, count):
        drawn = np.full(count, 0.5)
        drawn[0], drawn[6] = self.mirrored, self.turn
        return drawn


def test_beyond_the_border_is_a_reflection_not_black():
    pixels = np.full((50, 80, 3), 180, np.uint8)
    assert augmented(pixels, rotation=180, crop=0.3).min() >= 179


@pytest.mark.parametrize("rotation", [0.0, 45.0])
@pytest.mark.parametrize("size", [300, 1200])
def test_stripes_finer_than_the_view_become_grey(rotation, size):
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[:, ::2] = 255
    view = augmented(pixels, crop=0.9, rotation=rotation)
    assert np.abs(view[4:-4, 4:-4].astype(int) - 127).max() <= 45


def test_brightness_and_contrast_keep_to_their_range():
    pixels = np.full((40, 40, 3), 100, np.uint8)
    means = [
        augmented(pixels, brightness=0.3, contrast=0.5, image=str(i)).mean() for i in range(60)
    ]
    assert 69 <= min(means) < 80
    assert 120 < max(means) <= 131


def test_contrast_stretches_about_the_mean():
    grey = np.zeros((64, 64, 3), np.uint8) + np.arange(96, 160, dtype=np.uint8)[None, :, None]
    preprocessing = Preprocessing(width=64, height=64, crop=1.0)
    views = [augmented(grey, preprocessing, contrast=0.5, image=str(i)) for i in range(40)]
    assert max(abs(view.mean() - grey.mean()) for view in views) < 1
    spreads = [view.std() / grey.std() for view in views]
    assert 0.48 <= min(spreads) < 0.7
    assert 1.3 < max(spreads) <= 1.52


numbers = st.floats(0, 1, exclude_max=True)


@settings(max_examples=300, deadline=None)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    crop=st.floats(0.01, 0.999),
    frame=st.sampled_from([(224, 224), (320, 160), (64, 256)]),
    drawn=st.tuples(*[numbers] * 9),
)
def test_a_crop_lies_within_and_keeps_what_it_promises(height, width, crop, frame, drawn):
    preprocessing = Preprocessing(width=frame[0], height=frame[1])
    left, top, right, bottom = random_box(height, width, preprocessing, crop, Chance(*drawn))
    assert -1e-9 <= left < right <= width + 1e-9
    assert -1e-9 <= top < bottom <= height + 1e-9
    aspect = (right - left) / (bottom - top) * frame[1] / frame[0]
    assert 3 / 4 - 1e-6 <= aspect <= 4 / 3 + 1e-6
    share = (right - left) * (bottom - top) / (width * height)
    touches = right - left > width - 1e-6 or bottom - top > height - 1e-6
    assert share <= 1 + 1e-9
    assert share >= crop - 1e-9 or touches


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    crop=st.floats(0.001, 1),
    rotation=st.sampled_from([0.0, 1.0, 90.0, 180.0]),
    image=st.text(max_size=3),
)
def test_every_shape_has_a_view(height, width, crop, rotation, image):
    pixels = np.full((height, width, 3), 77, np.uint8)
    preprocessing = Preprocessing(width=20, height=30)
    view = augmented(pixels, preprocessing, crop=crop, rotation=rotation, image=image)
    assert view.shape == (30, 20, 3)
    assert view.flags.c_contiguous
    assert np.abs(view.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("crop", [0.2, 0.5, 0.9])
def test_crops_reach_into_the_corners(crop):
    seen = np.zeros((40, 60), bool)
    for image in range(300):
        chance = Chance(*generator(0, 0, str(image)).random(9).tolist())
        left, top, right, bottom = random_box(40, 60, SMALL, crop, chance)
        seen[round(top) : round(bottom), round(left) : round(right)] = True
    assert seen.mean() > 0.99  # A very corner is seen by a crop that begins exactly there.


def test_the_crop_is_sharp_where_it_should_be():
    """A crop seen through OpenCV and one seen through Pillow are the same picture."""
    pixels = cv2.GaussianBlur(scene(300, 400), (0, 0), 2)
    chance = Chance(*generator(0, 0, "a").random(9).tolist())
    box = [round(side) for side in random_box(300, 400, SMALL, 0.5, chance)]
    expected = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC, box=box)
    gap = np.abs(augmented(pixels, crop=0.5).astype(int) - np.asarray(expected))
    assert gap.mean() < 1.5
