import numpy as np
import pytest

from affinage.datasets.boxes.missing import lacking

RANDOM = np.random.default_rng(3)


def table(*columns):
    return np.stack(columns, axis=1).astype(np.int64)


def test_forgotten_boxes_of_a_common_class_are_found():
    cells, white = RANDOM.poisson(12, 300) + 1, np.ones(300)
    cells[[5, 40, 200]] = 0
    (lack,) = lacking(table(cells, white))
    assert (lack.column, lack.rows) == (0, (5, 40, 200))
    assert lack.hit_rate.value > 0.99
    assert lack.hit_rate.low < 0.85  # As few guesses were ever checked.


@pytest.mark.parametrize("mean", [1.5, 3, 6, 12])
@pytest.mark.parametrize("spread", [1, 3, 100])
def test_zeros_that_chance_explains_are_not(mean, spread):
    random = np.random.default_rng(11)
    chance = spread / (spread + mean)
    for _ in range(5):
        cars = random.negative_binomial(spread, chance, 2000)
        assert lacking(table(cars, np.ones(2000))) == []


def test_a_class_of_one_to_an_image_tells_nothing():
    faces = np.ones(500)
    faces[:3] = 0
    assert lacking(table(faces, np.ones(500))) == []


def test_images_of_another_kind_are_not_suspected():
    cars, chairs = RANDOM.poisson(12, 400) + 1, np.zeros(400)
    cars[:20], chairs[:20] = 0, 4  # Rooms among streets.
    assert lacking(table(cars, chairs)) == []


def test_images_without_any_box_are_not_suspected():
    cells = RANDOM.poisson(12, 300) + 1
    cells[:10] = 0
    assert lacking(table(cells, cells > 0)) == []


@pytest.mark.parametrize("images", [0, 1, 29])
def test_few_images_tell_nothing(images):
    counts = table(np.full(images, 9), np.ones(images))
    if images:
        counts[0, 0] = 0
    assert lacking(counts) == []
