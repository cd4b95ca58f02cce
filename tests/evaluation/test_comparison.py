import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import DataError
from affinage.evaluation.comparison import choose_between, prediction_fingerprint
from affinage.metrics.intervals import paired_difference


def logits(sharpness, *, n=300, classes=4, seed=0, noise=1):
    labels = np.random.default_rng(0).integers(0, classes, n)
    random = np.random.default_rng(seed)
    return sharpness * np.eye(classes)[labels] + noise * random.normal(size=(n, classes)), labels


def test_the_better_model_wins_and_the_sentence_says_by_how_much():
    (head, labels), (tuned, _) = logits(1.5, seed=1), logits(3.0, seed=2)
    choice = choose_between(head, tuned, labels)
    assert choice.winner == "finetuned"
    assert choice.finetuned_loss < choice.head_loss
    right = [(table.argmax(axis=1) == labels) for table in (head, tuned)]
    assert choice.difference == paired_difference(right[1], right[0])
    assert "300 validation images" in choice.reason
    assert f"{right[1].sum()} against {right[0].sum()}" in choice.reason
    assert "95 % interval +" in choice.reason
    assert choose_between(tuned, head, labels).winner == "head"


def test_overconfidence_is_no_reason_to_lose():
    (head, labels), (tuned, _) = logits(1.5, seed=1), logits(3.0, seed=2)
    plain = choose_between(head, tuned, labels)
    for factor in (0.3, 4.0):
        loud = choose_between(head, factor * tuned, labels)
        assert loud.winner == "finetuned"
        assert loud.finetuned_loss == pytest.approx(plain.finetuned_loss, rel=1e-3)


def test_a_tie_keeps_the_head():
    head, labels = logits(1.0)
    choice = choose_between(head, head, labels)
    assert choice.winner == "head"
    assert choice.difference.value == 0
    assert "+0.0 points" in choice.reason


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong_are_compared_too(right):
    labels = np.array([0, 1, 0, 1])
    table = 5.0 * np.eye(2)[labels if right else 1 - labels]
    choice = choose_between(table, 2 * table, labels)
    assert np.isfinite([choice.head_loss, choice.finetuned_loss]).all()


def test_one_image_is_enough_to_answer():
    assert choose_between([[0.0, 1.0]], [[1.0, 0.0]], [0]).winner == "finetuned"


@pytest.mark.parametrize(
    ("head", "tuned", "labels"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), []),
        (np.zeros((2, 2)), np.zeros((2, 3)), [0, 1]),
        (np.zeros((2, 2)), np.zeros((2, 2)), [0]),
        (np.zeros((1, 2)), np.full((1, 2), np.nan), [0]),
    ],
)
def test_what_cannot_be_compared_is_refused(head, tuned, labels):
    with pytest.raises(DataError):
        choose_between(head, tuned, labels)


@given(st.lists(st.text(max_size=5), max_size=8), st.randoms(use_true_random=False))
def test_a_fingerprint_depends_on_the_images_and_on_nothing_else(images, random):
    mixed = images + images[:1]
    random.shuffle(mixed)
    assert prediction_fingerprint(mixed) == prediction_fingerprint(images)
    assert prediction_fingerprint([*images, "another"]) != prediction_fingerprint(images)
    assert len(prediction_fingerprint(images)) == 64


def test_ids_that_run_together_are_told_apart():
    assert prediction_fingerprint(["ab", "c"]) != prediction_fingerprint(["a", "bc"])
    assert prediction_fingerprint([]) != prediction_fingerprint([""])
