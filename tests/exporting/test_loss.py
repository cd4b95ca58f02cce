import numpy as np
import pytest

from affinage.exporting.card import lost_in_words
from affinage.exporting.loss import loss_of
from affinage.records.bundle import Reading

READING = Reading(task="classify", labels=("a", "b"), kind="probability")


def lost(wrong, *, n=200, surely=False):
    """The loss of a model that errs on so many images more than the trained one, which never errs."""
    trained = np.tile([0.9, 0.1], (n, 1))
    exported = trained.copy()
    exported[:wrong] = [0.1, 0.9]
    return loss_of(READING, trained, exported, np.zeros(n), allowed=2.0, surely=surely)


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_the_loss_as_measured_is_held_to_what_is_allowed(wrong):
    found = lost(wrong)
    assert found.counted == found.lost.value == pytest.approx(100 * wrong / 200)


def test_surely_holds_the_upper_end_which_more_images_bring_down():
    few, many = lost(2, surely=True), lost(20, n=2000, surely=True)
    assert few.lost.value == many.lost.value == pytest.approx(1.0)
    assert few.counted == few.lost.high > few.allowed
    assert many.counted < many.allowed
    assert "2 allowed at the upper end" in lost_in_words(few)
