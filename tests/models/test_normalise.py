import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from affinage.errors import DataError
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.models.normalise import fit_preprocessing
from affinage.records.networks import ModelSettings
from affinage.records.plain import from_plain, to_plain
from affinage.records.preprocessing import Preprocessing

METHODS = ("train", "minmax", "pca", "zca")
OWN = Preprocessing(width=40, height=32)


def settings(method, **whitening):
    return ModelSettings(normalise=method, whitening=whitening)


@pytest.fixture(scope="module")
def photographs():
    """Pieces of 32 × 40 px of scikit-learn's two photographs."""
    pieces = [
        image[top : top + 32, left : left + 40]
        for image in load_sample_images().images
        for top in range(0, 384, 32)
        for left in range(0, 600, 40)
    ]
    return np.stack(pieces)


def shown(images, preprocessing):
    """What a backbone is shown of images: float64, shape (n, 3, height, width)."""
    model = Classifier(torch.nn.Identity(), preprocessing, features=1, outputs=1)
    return model.normalise(torch.from_numpy(images)).double().numpy()


def test_the_backbones_own_is_kept_and_no_image_is_read():
    assert fit_preprocessing(OWN, iter([None]), settings("backbone")) == OWN


@pytest.mark.parametrize("method", METHODS)
def test_all_but_the_normalisation_is_kept(photographs, method):
    fitted = fit_preprocessing(OWN, [photographs], settings(method))
    assert (fitted.width, fitted.height, fitted.crop) == (OWN.width, OWN.height, OWN.crop)
    assert (fitted.mean, fitted.std, fitted.whitening) != (OWN.mean, OWN.std, OWN.whitening)


@pytest.mark.parametrize("method", METHODS)
def test_neither_order_nor_cut_into_batches_changes_a_bit(photographs, method):
    whole = fit_preprocessing(OWN, [photographs], settings(method))
    parts = np.array_split(photographs[::-1], 7)
    assert fit_preprocessing(OWN, parts, settings(method)) == whole


@pytest.mark.parametrize("method", METHODS)
def test_it_survives_being_written(photographs, method):
    fitted = fit_preprocessing(OWN, [photographs[:9]], settings(method))
    assert from_plain(Preprocessing, to_plain(fitted)) == fitted


def test_train_gives_mean_0_and_deviation_1_per_channel(photographs):
    seen = shown(photographs, fit_preprocessing(OWN, [photographs], settings("train")))
    assert np.allclose(seen.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(seen.std((0, 2, 3)), 1, atol=1e-5)


def test_minmax_reaches_from_0_to_1_per_channel(photographs):
    dim = photographs // 2 + 30
    seen = shown(dim, fit_preprocessing(OWN, [dim], settings("minmax")))
    assert np.allclose(seen.min((0, 2, 3)), 0, atol=1e-6)
    assert np.allclose(seen.max((0, 2, 3)), 1, atol=1e-6)


def covariance(seen, side):
    patches = np.lib.stride_tricks.sliding_window_view(seen, (side, side), axis=(2, 3))
    rows = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 3 * side * side)
    return np.cov(rows.T)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitened_colours_are_uncorrelated_and_of_variance_1(photographs, method):
    given = settings(method, epsilon=1e-6, patch=1)
    seen = shown(photographs, fit_preprocessing(OWN, [photographs], given))
    assert np.allclose(seen.mean((0, 2, 3)), 0, atol=1e-4)
    assert np.allclose(covariance(seen, 1), np.eye(3), atol=2e-3)


def test_zca_takes_from_pixels_what_their_neighbours_tell_of_them(photographs):
    def correlation(preprocessing):
        seen = shown(photographs, preprocessing)
        a, b = seen[:, 1, :, :-1].ravel(), seen[:, 1, :, 1:].ravel()
        return np.corrcoef(a, b)[0, 1]

    plain = correlation(fit_preprocessing(OWN, [photographs], settings("train")))
    white = correlation(fit_preprocessing(OWN, [photographs], settings("zca")))
    assert plain > 0.8
    assert abs(white) < 0.3


def test_zca_stays_near_the_picture_and_pca_does_not(photographs):
    plain = shown(photographs, fit_preprocessing(OWN, [photographs], settings("train")))

    def likeness(method):
        given = settings(method, patch=1, epsilon=1e-4)
        seen = shown(photographs, fit_preprocessing(OWN, [photographs], given))
        return [np.corrcoef(plain[:, c].ravel(), seen[:, c].ravel())[0, 1] for c in range(3)]

    assert min(likeness("zca")) > 0.5  # Among whitenings the nearest to the original.
    assert sum(likeness("zca")) > sum(likeness("pca"))


def test_a_whitening_is_the_matrix_of_its_definition(photographs):
    given = settings("zca", patch=3, epsilon=0.05)
    fitted = fit_preprocessing(OWN, [photographs], given)
    patches = np.lib.stride_tricks.sliding_window_view(photographs / 255, (3, 3), axis=(1, 2))
    step = 1
    while -(-30 // step) * -(-38 // step) > 1024:
        step += 1
    rows = patches[:, ::step, ::step].reshape(-1, 27)
    sigma = np.cov(rows.T, bias=True)
    values, vectors = np.linalg.eigh(sigma)
    whole = vectors @ np.diag(1 / np.sqrt(values + 0.05 * values.mean())) @ vectors.T
    assert np.allclose(np.array(fitted.whitening).reshape(3, 27), whole[[4, 13, 22]], atol=1e-6)


def test_grey_and_constant_images_are_borne():
    grey = np.random.default_rng(0).integers(0, 256, (5, 32, 40, 1), np.uint8).repeat(3, axis=3)
    constant = np.full((5, 32, 40, 3), 77, np.uint8)
    for images in (grey, constant):
        for method in METHODS:
            seen = shown(images, fit_preprocessing(OWN, [images], settings(method)))
            assert np.isfinite(seen).all()
            assert np.abs(seen).max() < 1e4


def test_no_image_and_too_small_ones_are_refused():
    with pytest.raises(DataError, match="no image"):
        fit_preprocessing(OWN, [], settings("train"))
    with pytest.raises(DataError, match=r"7 × 7 px .* 4 × 4"):
        fit_preprocessing(OWN, [np.zeros((2, 4, 4, 3), np.uint8)], settings("zca", patch=7))


def test_a_classifier_normalises_by_what_was_fitted_and_its_weights_hold_nothing_of_it(photographs):
    fitted = fit_preprocessing(OWN, [photographs], settings("zca"))
    built = build_backbone(ModelSettings(backbone="resnet18", pretrained=False))
    model, plain = stack(built, classes=2, preprocessing=fitted).eval(), stack(built, classes=2)
    assert model.state_dict().keys() == plain.state_dict().keys()
    images = torch.from_numpy(photographs[:2])
    assert not torch.allclose(model.features(images), plain.eval().features(images))
