import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.heads.folds import assign_folds
from affinage.heads.held_out import HeldOutHeads
from affinage.heads.linear import fit_linear


@pytest.fixture(scope="module")
def images():
    """Real digits: features, labels, the part of each image."""
    rows, labels = load_digits(return_X_y=True)
    rows, labels = rows[:300], labels[:300].astype(np.int64)
    ids = [f"{index:03d}" for index in range(300)]
    return rows, labels, assign_folds(labels, ids, folds=5, seed=0)


@pytest.mark.parametrize("penalty", [1e-2, 1.0])
def test_held_out_heads_say_what_heads_fitted_one_by_one_say(images, penalty):
    rows, labels, parts = images
    found = HeldOutHeads(rows).logits(labels, 10, penalty=penalty, parts=parts)
    one_by_one = np.zeros_like(found)
    for part in range(5):
        held = parts == part
        head = fit_linear(rows[~held], labels[~held], 10, penalty=penalty)
        one_by_one[held] = head.logits(rows[held])
    same = found.argmax(axis=1) == one_by_one.argmax(axis=1)
    assert same.mean() >= 0.98  # Centre and scale are those of all images, not of four fifths.


def test_no_image_is_scored_by_a_head_that_has_seen_its_label(images):
    rows, labels, parts = images
    heads, changed = HeldOutHeads(rows), labels.copy()
    changed[parts == 0] = (changed[parts == 0] + 1) % 10
    before = heads.logits(labels, 10, penalty=0.1, parts=parts)
    after = heads.logits(changed, 10, penalty=0.1, parts=parts)
    np.testing.assert_array_equal(before[parts == 0], after[parts == 0])
    assert not np.allclose(before[parts == 1], after[parts == 1])


def test_images_that_may_not_be_learnt_from_are_still_scored(images):
    rows, labels, parts = images
    few = np.arange(300) < 120
    found = HeldOutHeads(rows).logits(labels, 10, penalty=0.1, parts=parts, learning=few)
    right = found.argmax(axis=1) == labels
    assert 0.5 < right[~few].mean() < 1
