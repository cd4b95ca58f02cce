"""From a row of outputs to an answer, as the trained run gives it."""

import numpy as np
from numpy.typing import NDArray

from affinage.records.bundle import Reading
from affinage.records.prediction import Prediction


def answer(
    reading: Reading, row: NDArray[np.floating], *, path: str = "", notes: tuple[str, ...] = ()
) -> Prediction:
    """Return what a row of outputs says.

    Args:
        reading: Of the bundle.
        row: Outputs of one image, shape (labels,).
        path: The image as the caller names it.
        notes: How it was read where that is not plain.
    """
    if reading.task == "count":
        return _counted(reading, row, path, notes)
    values = np.asarray(row, dtype=np.float64)
    shares = dict(zip(reading.labels, values.tolist(), strict=True))
    if reading.task == "multilabel":
        cuts = reading.thresholds or (0.5,) * len(values)
        given = tuple(
            name for name, cut in zip(reading.labels, cuts, strict=True) if shares[name] >= cut
        )
        return Prediction(
            path=path, label=None, confidence=None, probabilities=shares, labels=given, notes=notes
        )
    index = int(values.argmax())
    if reading.threshold is not None:
        positive = reading.labels.index(reading.positive)
        index = positive if values[positive] >= reading.threshold else 1 - positive
    return Prediction(
        path=path,
        label=reading.labels[index],
        confidence=float(values[index]),
        probabilities=shares,
        notes=notes,
    )


def unanswered(path: str, reason: str) -> Prediction:
    """Return why nothing can be said of an image."""
    return Prediction(path=path, label=None, confidence=None, probabilities={}, reason=reason)


def said(prediction: Prediction) -> tuple[object, ...]:
    """Return an answer without its numbers: the label, the set of labels, or whole counts."""
    counts = tuple(int(np.floor(value + 0.5)) for value in prediction.counts.values())
    return prediction.label, prediction.labels, counts


def _counted(
    reading: Reading, row: NDArray[np.floating], path: str, notes: tuple[str, ...]
) -> Prediction:
    expected = np.maximum(np.asarray(row, dtype=np.float64), 0.0)
    ranges: dict[str, tuple[int, int]] = {}
    if reading.margins and reading.kind == "count":
        reach = np.asarray(reading.margins, dtype=np.float64) * np.sqrt(expected + 1)[:, None]
        whole = np.floor(expected + 0.5)
        low = np.minimum(np.maximum(np.ceil(expected - reach[:, 0] - 1e-9), 0), whole)
        high = np.maximum(np.floor(expected + reach[:, 1] + 1e-9), whole)
        pairs = zip(low.astype(int).tolist(), high.astype(int).tolist(), strict=True)
        ranges = dict(zip(reading.labels, pairs, strict=True))
    return Prediction(
        path=path,
        label=None,
        confidence=None,
        probabilities={},
        counts=dict(zip(reading.labels, expected.tolist(), strict=True)),
        ranges=ranges,
        notes=notes,
    )
