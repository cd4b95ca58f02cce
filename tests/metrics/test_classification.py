"""Every score against scikit-learn, a slow definition, and edges by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.errors import DataError
from affinage.metrics.classification import (
    accuracy,
    balanced_accuracy,
    confusion,
    expected_calibration_error,
    f1_scores,
    log_loss,
    log_losses,
    macro_f1,
    precisions,
    recalls,
    softmax,
)
from affinage.metrics.ranking import average_precision, roc_auc, roc_curve

SEEDS = range(6)


def predictions(seed, n=200, classes=4, sharpness=1.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    logits = random.normal(size=(n, classes)) + sharpness * np.eye(classes)[labels]
    return softmax(logits), labels


def scores(seed, n=150, *, tied=False):
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.3
    values = random.normal(size=n) + positive
    return (np.round(values, 0) if tied else values), positive


@pytest.mark.parametrize("seed", SEEDS)
def test_confusion_and_what_follows_agree_with_scikit_learn(seed):
    probabilities, labels = predictions(seed)
    predicted = probabilities.argmax(axis=1)
    counts = confusion(labels, predicted, 4)
    assert np.array_equal(counts, reference.confusion_matrix(labels, predicted))
    assert accuracy(labels, predicted) == pytest.approx(reference.accuracy_score(labels, predicted))
    assert balanced_accuracy(counts) == pytest.approx(
        reference.balanced_accuracy_score(labels, predicted)
    )
    assert macro_f1(counts) == pytest.approx(reference.f1_score(labels, predicted, average="macro"))
    precision, recall, f1, _ = reference.precision_recall_fscore_support(labels, predicted)
    assert precisions(counts) == pytest.approx(precision)
    assert recalls(counts) == pytest.approx(recall)
    assert f1_scores(counts) == pytest.approx(f1)
    assert log_loss(probabilities, labels) == pytest.approx(
        reference.log_loss(labels, probabilities)
    )


def test_a_class_that_does_not_occur_is_no_part_of_the_means():
    counts = confusion([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert balanced_accuracy(counts) == pytest.approx(0.75)
    assert macro_f1(counts) == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(recalls(counts)[2])
    assert f1_scores(counts)[2] == 0  # Predicted, though it does not occur.
    assert np.isnan(f1_scores(confusion([0, 1], [0, 1], 3))[2])


def test_of_no_image_the_means_are_undefined():
    empty = np.zeros((3, 3), dtype=np.int64)
    assert math.isnan(balanced_accuracy(empty))
    assert math.isnan(macro_f1(empty))


def test_many_confusions_are_scored_at_once():
    many = np.random.default_rng(0).integers(0, 9, (20, 3, 3))
    assert balanced_accuracy(many) == pytest.approx([balanced_accuracy(one) for one in many])
    assert macro_f1(many) == pytest.approx([macro_f1(one) for one in many])


def test_sure_and_wrong_costs_34_and_a_half_nats():
    assert log_loss([[1.0, 0.0]], [1]) == pytest.approx(34.54, abs=0.01)
    assert log_losses([[1.0, 0.0]], [0]).tolist() == [0.0]


def test_knowing_nothing_costs_the_logarithm_of_the_classes():
    assert log_loss(np.full((5, 4), 0.25), [0, 1, 2, 3, 0]) == pytest.approx(math.log(4))


@pytest.mark.parametrize("bins", [1, 2, 15])
@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_agrees_with_its_definition(bins, seed):
    probabilities, labels = predictions(seed)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    slow = 0.0
    for number in range(bins):
        inside = [
            i for i, c in enumerate(confidence) if number / bins < c <= (number + 1) / bins
        ]  # fmt: skip
        if inside:
            gap = np.mean(predicted[inside] == labels[inside]) - np.mean(confidence[inside])
            slow += abs(gap) * len(inside) / len(labels)
    assert expected_calibration_error(probabilities, labels, bins=bins) == pytest.approx(slow)


def test_sure_and_wrong_is_a_calibration_error_of_one():
    assert expected_calibration_error([[1.0, 0.0]], [1]) == 1.0
    assert expected_calibration_error([[1.0, 0.0]], [0]) == 0.0


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_curve_and_areas_agree_with_scikit_learn(seed, tied):
    values, positive = scores(seed, tied=tied)
    curve = roc_curve(values, positive)
    false, true, thresholds = reference.roc_curve(positive, values, drop_intermediate=False)
    assert curve.false_positive_rate == pytest.approx(false)
    assert curve.true_positive_rate == pytest.approx(true)
    assert np.array_equal(curve.thresholds, thresholds)
    for threshold, precision in zip(curve.thresholds[1:], curve.precision[1:], strict=True):
        assert precision == pytest.approx(positive[values >= threshold].mean())
    assert roc_auc(values, positive).value == pytest.approx(
        reference.roc_auc_score(positive, values)
    )
    assert average_precision(values, positive) == pytest.approx(
        reference.average_precision_score(positive, values)
    )


def test_auc_interval_has_delongs_width():
    """Half the interval on the logit scale, against structural components summed one by one."""
    values, positive = scores(0, n=80, tied=True)
    ones, zeros = values[positive], values[~positive]
    wins = np.array([[(x > y) + (x == y) / 2 for y in zeros] for x in ones])
    variance = wins.mean(1).var(ddof=1) / len(ones) + wins.mean(0).var(ddof=1) / len(zeros)
    area = wins.mean()
    found = roc_auc(values, positive)
    width = math.log(found.high / (1 - found.high)) - math.log(found.low / (1 - found.low))
    assert width == pytest.approx(2 * 1.959964 * math.sqrt(variance) / (area * (1 - area)))


def test_auc_interval_covers_about_95_percent():
    random = np.random.default_rng(5)
    truth = 0.7602499389  # Normal scores one deviation apart: Phi(1 / sqrt 2).
    covered = 0
    for _ in range(600):
        found = roc_auc(
            np.r_[random.normal(size=60) + 1, random.normal(size=60)], [1] * 60 + [0] * 60
        )
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 600 <= 0.98


def test_perfect_separation_leaves_the_low_end_of_the_auc_open():
    found = roc_auc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.5
    assert roc_auc(np.arange(200.0), np.arange(200) >= 100).low > 0.96
    assert roc_auc([0.9, 0.1], [0, 1]).value == 0.0


def test_equal_scores_are_worth_nothing():
    found = roc_auc(np.full(20, 0.3), [True, False] * 10)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert average_precision(np.full(20, 0.3), [True, False] * 10) == 0.5
    assert roc_curve(np.full(4, 0.3), [True, False] * 2).thresholds.tolist() == [math.inf, 0.3]


def test_softmax_bears_huge_logits():
    assert softmax([[1e4, -1e4], [1e308, 1e308]]).tolist() == [[1.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("score", [roc_auc, roc_curve, average_precision])
@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_class_has_no_trade_off(score, positive):
    with pytest.raises(DataError, match="both classes"):
        score([0.1, 0.2], positive)


@pytest.mark.parametrize("score", [log_loss, expected_calibration_error])
@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.zeros((0, 2)), []),
        ([[0.5, 0.5]], [0, 1]),
        ([0.5, 0.5], [0, 1]),
        ([[0.5, 0.5]], [2]),
        ([[0.5, 0.5]], [-1]),
        ([[0.5, 0.5]], [0.5]),
        ([[math.nan, 0.5]], [0]),
        ([[1.5, -0.5]], [0]),
    ],
)
def test_scores_of_probabilities_refuse_what_is_none(score, probabilities, labels):
    with pytest.raises(DataError):
        score(probabilities, labels)


@pytest.mark.parametrize("score", [roc_auc, roc_curve, average_precision])
def test_trade_offs_refuse_what_is_none(score):
    with pytest.raises(DataError):
        score([0.1, math.nan], [True, False])
    with pytest.raises(DataError):
        score([0.1, 0.2, 0.3], [True, False])


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([1], [1, 2])])
def test_accuracy_refuses_nothing_and_unequal_lengths(truth, predicted):
    with pytest.raises(DataError):
        accuracy(truth, predicted)


def test_confusion_refuses_unequal_lengths():
    with pytest.raises(DataError):
        confusion([0], [0, 1], 2)


LABEL_SCORES = [accuracy, lambda t, p: balanced_accuracy(confusion(t, p, 5)),
                lambda t, p: macro_f1(confusion(t, p, 5))]  # fmt: skip
answers = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@pytest.mark.parametrize("score", LABEL_SCORES, ids=["accuracy", "balanced_accuracy", "macro_f1"])
@settings(max_examples=40)
@given(answers=answers, renaming=st.permutations(range(5)))
def test_every_label_score_lies_in_0_1_and_ignores_order_and_names(score, answers, renaming):
    truth, predicted = np.array(answers).T
    value = score(truth, predicted)
    assert 0 <= value <= 1
    assert score(truth, truth) == 1
    assert score(truth[::-1], predicted[::-1]) == pytest.approx(value)
    assert score(np.array(renaming)[truth], np.array(renaming)[predicted]) == pytest.approx(value)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_every_score_of_probabilities_ignores_order(seed, n):
    probabilities, labels = predictions(seed, n=n)
    for score in (log_loss, expected_calibration_error):
        value = score(probabilities, labels)
        assert value >= 0
        assert score(probabilities[::-1], labels[::-1]) == pytest.approx(value)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_trade_offs_ignore_the_scale_of_scores(seed):
    values, positive = scores(seed, n=40)
    positive[:2] = [True, False]
    assert roc_auc(np.exp(values), positive) == roc_auc(values, positive)
    assert average_precision(3 * values, positive) == average_precision(values, positive)
    assert roc_auc(-values, positive).value == pytest.approx(1 - roc_auc(values, positive).value)
