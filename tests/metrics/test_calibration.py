import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from affinage.errors import DataError
from affinage.metrics.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    fit_temperature,
)
from affinage.metrics.classification import log_loss, softmax


def sample(temperature, n=4000, classes=5, seed=0):
    """Return logits whose honest temperature is known."""
    random = np.random.default_rng(seed)
    honest = 2 * random.normal(size=(n, classes))
    labels = np.array([random.choice(classes, p=row) for row in softmax(honest)])
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_honest_temperature_is_found(temperature):
    assert fit_temperature(*sample(temperature)) == pytest.approx(temperature, rel=0.08)


def test_it_minimises_the_log_loss_with_one_evenly_labelled_image_more():
    logits, labels = sample(2.0, n=60)

    def slow(t):
        smooth = -np.mean([np.log(softmax(row / t)).mean() for row in logits - logits.mean()])
        return len(labels) * log_loss(softmax(logits / t), labels) + smooth

    best = minimize_scalar(slow, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}).x
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=1e-4)


def test_without_a_mistake_confidence_stays_within_what_so_few_images_say():
    labels = np.arange(40) % 2
    logits = 3.0 * np.eye(2)[labels]
    mean = softmax(logits / fit_temperature(logits, labels))[np.arange(40), labels].mean()
    assert 0.95 < mean < 0.995  # 40 of 40 right: about 1 - 1 / 82.


def test_all_wrong_asks_for_the_highest_temperature():
    labels = np.arange(40) % 2
    found = fit_temperature(9.0 * np.eye(2)[1 - labels], labels)
    assert found == pytest.approx(HIGHEST_TEMPERATURE, rel=1e-3)


@pytest.mark.parametrize("logits", [np.zeros((0, 3)), np.zeros((4, 1)), np.full((4, 3), 7.0)])
def test_where_there_is_nothing_to_fit_it_is_one(logits):
    assert fit_temperature(logits, [0] * len(logits)) == 1.0


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_it_stays_within_its_bounds(factor):
    logits, labels = sample(1.0, n=50)
    assert LOWEST_TEMPERATURE <= fit_temperature(factor * logits, labels) <= HIGHEST_TEMPERATURE


@pytest.mark.parametrize(
    ("logits", "labels"), [([[0.0, np.inf]], [0]), ([0.0, 1.0], [0, 1]), ([[0.0, 1.0]], [0, 1])]
)
def test_what_is_no_logit_is_refused(logits, labels):
    with pytest.raises(DataError):
        fit_temperature(logits, labels)
