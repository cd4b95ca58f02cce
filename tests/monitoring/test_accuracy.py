import numpy as np
import pytest

from affinage.monitoring.accuracy import estimate_accuracy


def calibrated(random, n, hardness):
    """Confidences, and whether each answer is right as often as it claims."""
    sure = 0.5 + 0.5 * random.beta(hardness, 2, n)
    return sure, random.random(n) < sure


@pytest.mark.parametrize("hardness", [6.0, 3.0, 1.5])
def test_it_is_near_the_truth_where_confidence_means_what_it_says(hardness):
    random = np.random.default_rng(0)
    errors, inside = [], 0
    for _ in range(12):
        validation, right = calibrated(random, 300, 6.0)
        window, truth = calibrated(random, 300, hardness)
        found = estimate_accuracy(validation, right, window).estimate
        errors.append(abs(found.value - truth.mean()))
        inside += found.low <= truth.mean() <= found.high
    assert np.mean(errors) < 0.05
    assert inside >= 10


def test_the_same_images_have_their_own_accuracy():
    validation, right = calibrated(np.random.default_rng(1), 400, 4.0)
    found = estimate_accuracy(validation, right, validation)
    assert found.estimate.value == pytest.approx(right.mean(), abs=0.005)
    assert found.on_validation.value == pytest.approx(right.mean())


@pytest.mark.parametrize(("n", "m"), [(0, 100), (29, 100), (100, 29)])
def test_too_few_images_say_nothing(n, m):
    sure, right = calibrated(np.random.default_rng(2), 100, 4.0)
    found = estimate_accuracy(sure[:n], right[:n], sure[:m])
    assert found.estimate.value is None
    assert found.estimate.n == m


def test_a_model_that_is_always_right_stays_within_bounds():
    found = estimate_accuracy(np.full(50, 0.99), np.ones(50, dtype=bool), np.full(50, 0.999))
    assert 0 <= found.estimate.low <= found.estimate.value <= found.estimate.high <= 1


def test_an_estimate_is_no_surer_than_validation_itself():
    sure, right = np.full(32, 0.99), np.ones(32, dtype=bool)
    found = estimate_accuracy(sure, right, np.full(200, 0.99))
    assert found.on_validation.low == pytest.approx(0.893, abs=0.001)  # Wilson, 32 of 32.
    assert found.estimate.low <= found.on_validation.low
