"""On the two photographs that come with scikit-learn: a temple and a flower."""

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from affinage.imaging.matching import SIDE, Match, match, mirrored, sketch


@pytest.fixture(scope="module")
def temple():
    return load_sample_image("china.jpg")


@pytest.fixture(scope="module")
def flower():
    return load_sample_image("flower.jpg")


def saved(pixels, quality):
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def turned(pixels, degrees):
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(pixels, turn, (width, height))


def captioned(pixels):
    font = cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(pixels.copy(), "SAMPLE", (30, 250), font, 5, (255, 255, 255), 16)


CHANGES = {
    "nothing": lambda p: p,
    "crop": lambda p: p[40:340, 100:500],
    "smaller": lambda p: cv2.resize(p, (200, 133), interpolation=cv2.INTER_AREA),
    "squeezed": lambda p: cv2.resize(p, (300, 300), interpolation=cv2.INTER_AREA),
    "compressed": lambda p: saved(p, 20),
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "flatter": lambda p: (p * 0.5 + 60).astype(np.uint8),
    "mirror": lambda p: p[:, ::-1],
    "caption": captioned,
    "turned": lambda p: turned(p, 8),
    "border": lambda p: np.pad(p, ((60, 60), (80, 80), (0, 0)), constant_values=255),
    "grey": lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "blurred": lambda p: cv2.GaussianBlur(p, (0, 0), 5),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("photograph", ["temple", "flower"])
def test_a_changed_copy_can_be_laid_over_its_original(photograph, change, request):
    pixels = request.getfixturevalue(photograph)
    found = match(sketch(pixels), sketch(np.ascontiguousarray(CHANGES[change](pixels))))
    assert found.inliers >= 12
    assert found.likeness > 0.9
    assert found.mirrored == (change == "mirror")


def test_two_photographs_cannot(temple, flower):
    found = match(sketch(temple), sketch(flower))
    assert found.inliers < 8
    assert found.likeness < 0.5


def test_two_parts_of_one_photograph_that_share_nothing_cannot(temple):
    found = match(sketch(temple[:, :300]), sketch(temple[:, 340:]))
    assert found.inliers < 8


def test_two_parts_that_overlap_say_by_how_much(temple):
    found = match(sketch(temple[:, :400]), sketch(temple[:, 200:600]))
    assert found.overlap == pytest.approx(0.5, abs=0.03)
    assert found.likeness > 0.9


def test_either_may_come_first(temple):
    one, other = sketch(temple), sketch(np.ascontiguousarray(temple[30:300, 50:400, :]))
    there, back = match(one, other), match(other, one)
    assert there.overlap == pytest.approx(1, abs=0.03)
    assert back.overlap == pytest.approx(1, abs=0.03)
    assert min(there.likeness, back.likeness) > 0.9


def test_the_same_pair_gives_the_same_match(temple):
    one, other = sketch(temple), sketch(np.ascontiguousarray(temple[::-1, ::-1]))
    assert match(one, other) == match(one, other)


def test_mirrored_descriptors_are_those_of_the_mirror_image(temple):
    straight, mirror = sketch(temple), sketch(np.ascontiguousarray(temple[:, ::-1]))
    places = straight.points * [-1, 1] + [straight.grey.shape[1] - 1, 0]
    gaps = np.linalg.norm(places[:, None] - mirror.points[None], axis=2)
    same = gaps.argmin(axis=1)
    close = gaps.min(axis=1) < 1  # Places of a mirror image are off by a part of a pixel.
    ours = mirrored(straight.descriptors).astype(float)
    theirs = mirror.descriptors[same].astype(float)
    turned_right = np.abs(ours - theirs).mean(axis=1)[close]
    not_turned = np.abs(straight.descriptors.astype(float) - theirs).mean(axis=1)[close]
    assert close.sum() > 50
    assert np.median(turned_right) < 0.5 * np.median(not_turned)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 3), (8, 8), (16, 16), (64, 1000)])
def test_any_shape_is_sketched(shape):
    random = np.random.default_rng(0)
    made = sketch(random.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert max(made.grey.shape) == SIDE
    assert made.points.shape == (len(made.descriptors), 2)
    assert isinstance(match(made, made), Match)


def test_a_blank_image_matches_nothing(temple):
    blank = sketch(np.full((100, 100, 3), 200, np.uint8))
    assert match(blank, blank) == Match()
    assert match(blank, sketch(temple)) == Match()
