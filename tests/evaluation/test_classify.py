import dataclasses
import json

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.errors import DataError
from affinage.evaluation.classify import MOST_CURVE_POINTS, MOST_MISTAKES, evaluate_classification
from affinage.metrics.classification import softmax
from affinage.metrics.intervals import bootstrap, wilson
from affinage.records.evaluation import Evaluation
from affinage.records.plain import from_plain, to_plain
from affinage.records.task import CLASSIFY

NAMES = ("ant", "bee", "cat", "dog")


def evaluate(probabilities, labels, **given):
    n = len(labels)
    settings_ = {
        "part": "test",
        "images": [f"{number:064x}" for number in range(n)],
        "paths": [f"p/{number}.jpg" for number in range(n)],
        "classes": NAMES[: np.shape(probabilities)[1]],
        "train_labels": [0, 0, 0],
        "nearest": None,
    }
    return evaluate_classification(
        probabilities=probabilities, labels=labels, **(settings_ | given)
    )  # fmt: skip


def sample(n=120, classes=4, seed=0, sharpness=1.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    return softmax(random.normal(size=(n, classes)) + sharpness * np.eye(classes)[labels]), labels


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_scores_agree_with_scikit_learn(classes):
    probabilities, labels = sample(classes=classes)
    predicted = probabilities.argmax(axis=1)
    found = evaluate(probabilities, labels)
    assert found.accuracy == wilson(int((predicted == labels).sum()), 120)
    assert found.balanced_accuracy.value == pytest.approx(
        reference.balanced_accuracy_score(labels, predicted)
    )
    assert found.macro_f1.value == pytest.approx(
        reference.f1_score(labels, predicted, average="macro")
    )
    assert found.log_loss.value == pytest.approx(reference.log_loss(labels, probabilities))
    assert np.array_equal(found.confusion, reference.confusion_matrix(labels, predicted))
    assert found.per_class["bee"].recall.n == (labels == 1).sum()
    assert found.per_class["bee"].precision.n == (predicted == 1).sum()
    assert (found.binary is not None) == (classes == 2)


def test_intervals_agree_with_bootstraps_of_images_done_the_slow_way():
    probabilities, labels = sample(n=80, classes=3)
    predicted = probabilities.argmax(axis=1)
    found = evaluate(probabilities, labels)
    rows = [np.flatnonzero(labels == c) for c in range(3)]
    random = np.random.default_rng(5)

    def stratified(score):
        draws = []
        for _ in range(1000):
            drawn = np.concatenate([random.choice(inside, len(inside)) for inside in rows])
            draws.append(score(labels[drawn], predicted[drawn]))
        return np.quantile(draws, [0.025, 0.975])

    low, high = stratified(lambda t, p: np.mean([np.mean(p[t == c] == c) for c in range(3)]))
    assert (found.balanced_accuracy.low, found.balanced_accuracy.high) == pytest.approx(
        (low, high), abs=0.015
    )
    low, high = stratified(lambda t, p: reference.f1_score(t, p, average="macro"))
    assert (found.macro_f1.low, found.macro_f1.high) == pytest.approx((low, high), abs=0.015)
    losses = -np.log(probabilities[np.arange(80), labels])
    slow = bootstrap(lambda r: float(losses[r].mean()), 80, seed=9)
    assert (found.log_loss.low, found.log_loss.high) == pytest.approx(
        (slow.low, slow.high), abs=0.03
    )


def battery():
    one = np.array([[0.7, 0.2, 0.1]])
    wrong = np.tile([0.1, 0.8, 0.1], (5, 1))
    yield "one image, right", one, [0]
    yield "one image, wrong", one, [2]
    yield "all right", np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 0]
    yield "all wrong", wrong, [0, 2, 0, 2, 0]
    yield "a class missing", sample(classes=3)[0], sample(classes=3)[1] % 2
    yield "identical probabilities", np.full((9, 3), 1 / 3), [0, 1, 2] * 3
    yield "sure and wrong", np.eye(3)[[0, 1]], [1, 0]
    yield "two classes", *sample(classes=2)
    yield "two classes, one occurs", np.array([[0.6, 0.4], [0.2, 0.8]]), [1, 1]
    yield "one class", np.ones((3, 1)), [0, 0, 0]


BATTERY = pytest.mark.parametrize(
    ("probabilities", "labels"), [pytest.param(*rest, id=name) for name, *rest in battery()]
)


@BATTERY
@pytest.mark.parametrize("metric", CLASSIFY.metrics)
def test_every_metric_holds_its_value_in_its_interval(metric, probabilities, labels):
    found = evaluate(probabilities, labels)
    estimate = getattr(found, metric)
    assert estimate.n == len(labels)
    assert 0 <= estimate.low <= estimate.value <= estimate.high
    if metric != "log_loss":
        assert estimate.high <= 1
        assert estimate.low < estimate.high  # So few images are never sure.


@BATTERY
def test_every_evaluation_survives_json(probabilities, labels):
    found = evaluate(probabilities, labels, nearest=labels)
    text = json.dumps(to_plain(found), allow_nan=False)
    assert from_plain(Evaluation, json.loads(text)) == found


def test_all_right_does_not_claim_certainty():
    found = evaluate(np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 0])
    assert found.balanced_accuracy.low == found.accuracy.low == wilson(4, 4).low
    assert found.mistakes == ()


def test_identical_probabilities_say_the_first_class():
    found = evaluate(np.full((9, 3), 1 / 3), [0, 1, 2] * 3)
    assert found.accuracy.value == pytest.approx(1 / 3)
    assert found.log_loss.value == pytest.approx(np.log(3))


def test_a_missing_class_counts_in_no_mean_but_keeps_its_row():
    found = evaluate([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]], [0, 1, 1])
    assert found.balanced_accuracy.value == pytest.approx(0.75)
    assert found.per_class["cat"].recall.value is None
    assert found.per_class["cat"].f1 == 0.0
    assert found.confusion[2] == (0, 0, 0)
    never = evaluate([[0.9, 0.1, 0.0]], [0])
    assert never.per_class["cat"].f1 is None
    assert never.per_class["cat"].precision.value is None


def test_the_most_confident_mistakes_come_first_and_ties_go_by_image():
    confidence = [0.6, 0.9, 0.6, 0.95]
    probabilities = [[c, 1 - c] for c in confidence]
    found = evaluate(probabilities, [1, 1, 1, 0], images=["z", "b", "a", "c"])
    assert [one.image for one in found.mistakes] == ["b", "a", "z"]
    first = found.mistakes[0]
    assert (first.truth, first.predicted, first.confidence) == ("bee", "ant", 0.9)
    assert first.path == "p/1.jpg"


def test_no_more_mistakes_are_kept_than_a_page_shows():
    found = evaluate(np.tile([0.9, 0.1], (90, 1)), [1] * 90)
    assert len(found.mistakes) == MOST_MISTAKES


def test_baselines_stand_beside_the_score():
    found = evaluate(*sample(n=6, classes=3), nearest=[0, 0, 0, 1, 1, 1], train_labels=[2, 2, 1])
    labels = sample(n=6, classes=3)[1]
    assert found.baselines["largest_class"] == wilson(int((labels == 2).sum()), 6)
    assert found.baselines["nearest_neighbour"] == wilson(
        int((labels == [0, 0, 0, 1, 1, 1]).sum()), 6
    )
    assert tuple(found.baselines) == CLASSIFY.baselines
    assert evaluate(*sample(), train_labels=[], nearest=None).baselines == {}


def test_a_threshold_decides_the_predictions():
    probabilities = [[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]
    found = evaluate(probabilities, [0, 1, 1], threshold=("bee", 0.3, "as told"))
    assert found.accuracy.value == 1.0
    assert (found.binary.threshold, found.binary.rule) == (0.3, "as told")
    assert (found.binary.sensitivity, found.binary.specificity) == (wilson(2, 2), wilson(1, 1))
    assert evaluate(probabilities, [0, 1, 1]).accuracy.value == pytest.approx(2 / 3)


def test_a_threshold_may_be_on_the_first_class():
    found = evaluate([[0.3, 0.7], [0.1, 0.9]], [0, 1], threshold=("ant", 0.2, "as told"))
    assert found.accuracy.value == 1.0
    assert found.binary.positive == "ant"
    assert found.binary.roc_auc.value == 1.0


def test_curves_are_ordered_finite_and_short():
    found = evaluate(*sample(n=3000, classes=2)).binary
    false, true = np.array(found.false_positive_rate), np.array(found.true_positive_rate)
    assert len(false) == len(true) == len(found.precision) == len(found.thresholds)
    assert len(false) <= MOST_CURVE_POINTS
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()
    assert (np.diff(found.thresholds) < 0).all()
    assert np.isfinite(found.thresholds).all()


def test_where_one_of_two_classes_is_missing_there_is_no_curve():
    assert evaluate([[0.6, 0.4]], [0]).binary is None


def test_the_same_seed_gives_the_same_evaluation():
    assert evaluate(*sample()) == evaluate(*sample())
    other = evaluate(*sample(), seed=1)
    assert other.macro_f1 != evaluate(*sample()).macro_f1
    assert other.accuracy == evaluate(*sample()).accuracy


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(30)))
def test_the_order_of_the_images_does_not_matter(order):
    probabilities, labels = sample(n=30)
    names = np.array([f"i{number}" for number in range(30)])
    plain = evaluate(probabilities, labels, images=names.tolist(), paths=names.tolist())
    mixed = evaluate(
        probabilities[order], labels[order],
        images=names[order].tolist(), paths=names[order].tolist(),
    )  # fmt: skip
    # The draws of the log loss are of rows; its interval alone moves within their noise.
    assert dataclasses.replace(mixed, log_loss=plain.log_loss) == plain
    assert mixed.log_loss.value == pytest.approx(plain.log_loss.value)


def test_a_memory_test_is_marked():
    assert evaluate(*sample(), memory_test=True).memory_test


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": ["a"]},
        {"paths": ["a"]},
        {"classes": ("a", "b")},
        {"nearest": [0]},
        {"train_labels": [9]},
        {"threshold": ("bee", 0.5, "")},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(DataError):
        evaluate(*sample(classes=3), **wrong)


def test_an_unknown_class_to_find_is_refused():
    with pytest.raises(DataError, match="'eel'"):
        evaluate(*sample(classes=2), threshold=("eel", 0.5, ""))


def test_a_part_without_images_is_refused():
    with pytest.raises(DataError, match="'test' has no image"):
        evaluate(np.zeros((0, 3)), [])


def test_many_classes_and_images_take_little_memory_and_time():
    random = np.random.default_rng(0)
    labels = random.integers(0, 100, 5000)
    probabilities = softmax(random.normal(size=(5000, 100)))
    found = evaluate(probabilities, labels, classes=tuple(f"c{number}" for number in range(100)))
    assert found.n == 5000


def test_a_rival_that_fails_on_the_same_images_is_beaten_by_pairs_alone():
    truth = np.arange(100) % 2
    nearest = truth.copy()
    nearest[:20] = 1 - nearest[:20]  # 0.80; ours below fails on 13 of these 20: 0.87.
    probabilities = np.eye(2)[truth] * 0.8 + 0.1
    probabilities[:13] = probabilities[:13, ::-1]
    found = evaluate_classification(
        part="test",
        probabilities=probabilities,
        labels=truth,
        images=[f"{n:064x}" for n in range(100)],
        paths=[f"{n}.png" for n in range(100)],
        classes=("a", "b"),
        train_labels=truth,
        nearest=nearest,
    )
    assert found.accuracy.low < found.baselines["nearest_neighbour"].value
    assert found.gains["nearest_neighbour"].value == pytest.approx(0.07)
    assert found.gains["nearest_neighbour"].low > 0
