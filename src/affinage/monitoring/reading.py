"""From a log and a bundle to what is compared: numbers of images, the label given, whether it was right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affinage.records.bundle import MEASURES, BaselinePart, Reading
from affinage.records.seen import LOOKS, Seen
from affinage.records.served import Served

_COLUMNS = [MEASURES.index(name) for name in LOOKS]


def seen_by_log(served: Sequence[Served], *, exclusive: bool = True) -> Seen:
    """Return logged images in numbers, in the order of the log."""
    return Seen(
        images=tuple(one.image for one in served),
        looks=np.stack([one.measures[_COLUMNS] for one in served]).astype(np.float64),
        features=np.stack([one.features for one in served]).astype(np.float32),
        probabilities=np.stack([one.outputs for one in served]).astype(np.float64),
        exclusive=exclusive,
    )


def answers(reading: Reading, outputs: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the index of the label given to each image, shape (n,); task `classify`.

    Args:
        reading: Of the bundle.
        outputs: Probabilities, shape (n, labels).
    """
    if reading.threshold is None:
        return np.asarray(outputs.argmax(axis=1), dtype=np.int64)
    positive = reading.labels.index(reading.positive)
    called = outputs[:, positive] >= reading.threshold
    return np.where(called, positive, 1 - positive).astype(np.int64)


def given(reading: Reading, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probability of the label given to each image, shape (n,); task `classify`."""
    chosen = answers(reading, outputs)
    return np.asarray(outputs[np.arange(len(outputs)), chosen], dtype=np.float64)


def right_on(reading: Reading, part: BaselinePart) -> NDArray[np.bool_]:
    """Return whether the label given to each image of a part was right, shape (n,); task `classify`."""
    return np.asarray(answers(reading, part.outputs) == part.targets)
