import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images
from sklearn.svm import LinearSVC

from affinage.errors import DataError
from affinage.heads.bag_of_words import GRIDS, describe, fit_bag_of_words

WORDS = 40


def grey(image):
    return np.repeat(image[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def digits():
    """Scanned digits, 8 × 8, of three classes: pictures and labels."""
    data = load_digits(n_class=3)
    return [grey(image * 15) for image in data.images[:240]], data.target[:240].astype(np.int64)


@pytest.fixture(scope="module")
def fitted(digits):
    pictures, labels = digits
    return fit_bag_of_words(lambda i: pictures[i], labels[:160], 3, words=WORDS, threads=2)


@pytest.fixture
def photograph():
    return load_sample_images().images[0]


def test_unseen_digits_are_told_apart(digits, fitted):
    pictures, labels = digits
    scores = fitted.scores(lambda i: pictures[160 + i], 80)
    assert (scores.argmax(axis=1) == labels[160:]).mean() > 0.85


def test_neither_the_number_of_threads_nor_a_second_run_changes_a_bit(digits, fitted):
    pictures, labels = digits
    again = fit_bag_of_words(lambda i: pictures[i], labels[:160], 3, words=WORDS, threads=1)
    for name in ("words", "weight", "bias"):
        assert np.array_equal(getattr(again, name), getattr(fitted, name))
    one, many = (fitted.scores(lambda i: pictures[i], 20, threads=n) for n in (1, 4))
    assert np.array_equal(one, many)


def test_another_seed_is_another_vocabulary(digits, fitted):
    pictures, labels = digits
    other = fit_bag_of_words(lambda i: pictures[i], labels[:160], 3, words=WORDS, seed=1)
    assert not np.array_equal(other.words, fitted.words)


def test_descriptors_have_length_1_and_lie_within_the_image(photograph):
    rows, places = describe(photograph)
    assert rows.shape == (len(places), 128)
    assert len(rows) > 1000
    assert np.allclose((rows**2).sum(axis=1), 1, atol=1e-5)
    assert ((places >= 0) & (places < 1)).all()


def test_light_and_size_change_descriptors_little(photograph):
    rows, _ = describe(photograph)
    dim = describe((photograph * 0.6).astype(np.uint8))[0]
    large = describe(photograph.repeat(2, axis=0).repeat(2, axis=1))[0]
    assert (rows * dim).sum(axis=1).mean() > 0.95
    assert (rows * large).sum(axis=1).mean() > 0.95
    assert (rows * np.roll(rows, 97, axis=0)).sum(axis=1).mean() < 0.9


def test_a_blank_image_has_no_words_and_still_a_score(fitted):
    blank = np.full((20, 30, 3), 99, np.uint8)
    assert len(describe(blank)[0]) == 0
    features = fitted.features(lambda _: blank, 2)
    assert not features.any()
    assert np.array_equal(fitted.scores(lambda _: blank, 2), np.tile(fitted.bias, (2, 1)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (700, 5)])
def test_images_of_any_shape_are_borne(fitted, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.isfinite(fitted.scores(lambda _: pixels, 1)).all()


def test_features_are_roots_of_the_shares_of_nearest_words(digits, fitted):
    picture = digits[0][5]
    rows, places = describe(picture)
    distances = ((rows[:, None] - fitted.words[None]) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    expected = []
    for grid in GRIDS:
        for y in range(grid):
            for x in range(grid):
                here = (places[:, 0] // (1 / grid) == x) & (places[:, 1] // (1 / grid) == y)
                counts = np.bincount(nearest[here], minlength=len(fitted.words))
                expected.append(np.sqrt(counts / len(rows) / len(GRIDS)))
    features = fitted.features(lambda _: picture, 1)[0]
    assert np.allclose(features, np.concatenate(expected), atol=1e-6)
    assert (features**2).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_planes_are_those_of_scikit_learn(digits, classes):
    pictures, labels = digits
    chosen = [i for i in range(120) if labels[i] < classes]
    bag = fit_bag_of_words(lambda i: pictures[chosen[i]], labels[chosen], classes, words=20)
    rows = bag.features(lambda i: pictures[chosen[i]], len(chosen)).astype(np.float64)
    machine = LinearSVC(C=bag.cost, dual=True, random_state=0, max_iter=2000, tol=1e-3)
    machine.fit(rows, labels[chosen])
    given = bag.scores(lambda i: pictures[chosen[i]], len(chosen))
    assert (given.argmax(axis=1) == machine.predict(rows)).all()


def test_a_class_without_images_is_never_called(digits):
    pictures, labels = digits
    bag = fit_bag_of_words(lambda i: pictures[i], labels[:40], 5, words=10)
    assert bag.scores(lambda i: pictures[i], 40).argmax(axis=1).max() < 3


def test_one_class_and_one_image_are_enough(digits):
    bag = fit_bag_of_words(lambda i: digits[0][i], [1], 2, words=1000)
    assert len(bag.words) <= 1000
    assert bag.scores(lambda i: digits[0][i], 3).argmax(axis=1).tolist() == [1, 1, 1]


def test_blank_images_alone_are_borne():
    bag = fit_bag_of_words(lambda _: np.zeros((9, 9, 3), np.uint8), [0, 1, 0, 1], 2, words=5)
    assert np.isfinite(bag.scores(lambda _: np.zeros((9, 9, 3), np.uint8), 1)).all()


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(DataError, match="needs images and words, not 0"):
        fit_bag_of_words(lambda i: None, [], 2)
