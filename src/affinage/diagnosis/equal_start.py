"""Weights that began equal: still so, or told apart since by biases or dropout alone."""

from affinage.diagnosis.answers import Answered, Fine, Found
from affinage.diagnosis.initial import NAMED, REMEDY, all_begin_equal, begin_equal, names
from affinage.diagnosis.standing import is_poor_on_training, learns
from affinage.records.signals import Signals


def equal_start(signals: Signals) -> Answered:
    """Units of hidden layers began with the same weights, and stayed equal or learnt little since.

    Random biases and dropout part such units, but not into features: where all hidden layers began so and
    little was learnt, that is named too. A branch that begins at zero beside others is not.
    """
    answer, began = begin_equal(signals), all_begin_equal(signals)
    if isinstance(answer, Fine) and began and (is_poor_on_training(signals) or not learns(signals)):
        return _parted(began)
    return answer


def _parted(began: tuple[str, ...]) -> Found:
    return Found(
        subject=f"All units of {names(began)}{' and more' if len(began) > NAMED else ''} began with the same "
        "weights, and the training images are not learnt: biases or dropout alone tell the units apart.",
        remedy=REMEDY,
        grade="measured",
        where=began,
    )
