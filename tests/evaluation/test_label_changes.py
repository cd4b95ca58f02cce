"""Whether a change keeps the label: by what it costs to teach it."""

import numpy as np
import pytest

from affinage.evaluation.label_changes import judge_change

CLASSES = ("six", "nine", "one")


def judged(taught, truth=None, plain=None):
    truth = np.repeat(np.arange(3), 40) if truth is None else truth
    plain = truth if plain is None else plain
    return judge_change(
        change="turn", setting="augment.rotation", off="0", truth=truth, plain=plain, changed=plain,
        taught=taught, classes=CLASSES,
    )  # fmt: skip


def test_a_change_that_mixes_two_classes_up_changes_labels():
    taught = np.repeat(np.arange(3), 40)
    taught[:15], taught[40:52] = 1, 0
    trial = judged(taught)
    assert trial.verdict == "mixes classes up"
    assert [(one.label, one.called, one.images, one.of) for one in trial.turned] == [
        ("six", "nine", 15, 40),
        ("nine", "six", 12, 40),
    ]
    assert trial.difference.value == pytest.approx(-27 / 120)


def test_a_change_that_costs_nothing_keeps_the_label():
    truth = np.repeat(np.arange(3), 400)
    assert judged(truth.copy(), truth).verdict == "keeps the label"


def test_a_small_cost_without_a_pair_is_hard_to_tell():
    taught = np.repeat(np.arange(3), 40)
    taught[[0, 45, 85, 100]] = [1, 2, 0, 1]
    trial = judged(taught)
    assert (trial.verdict, trial.turned) == ("hard to tell", ())


def test_few_images_say_nothing():
    truth = np.array([0, 1, 2] * 5)
    assert judged((truth + 1) % 3, truth).verdict == "too few images"


def test_what_was_wrong_before_is_no_cost():
    truth = np.repeat(np.arange(3), 400)
    plain = truth.copy()
    plain[:100] = 1
    assert judged(plain.copy(), truth, plain).verdict == "keeps the label"
