"""File sizes beyond what the content of the images explains."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

_PLAIN = (
    "brightness",
    "contrast",
    "dark",
    "bright",
    "colour",
    "entropy",
    "flat",
    "palette",
    "tint",
)
_LOGARITHMS = ("sharpness", "focus")
_FOLDS, _RIDGE = 5, 1.0


def size_beyond_content(images: pl.DataFrame, measures: pl.DataFrame) -> NDArray[np.float64]:
    """Return each file's size as a multiple of what its pixels explain, shape (n,).

    Fine texture takes bytes: a scanned 1 is a smaller file than a 0, and no shortcut. So the logarithm
    of the size is first predicted, by ridge regression in cross-validation, from the number of pixels
    and the measures and their squares. On four image sets and pairs of their classes this lowered the
    most that the size gave away from 1.00 to 0.34 (docs/log.md).

    Args:
        images: With `bytes`, `width` and `height`.
        measures: Columns of `MEASURES`, aligned with it.
    """
    size = np.log(np.maximum(images["bytes"].cast(pl.Float64).fill_null(0).to_numpy(), 1))
    area = (images["width"].cast(pl.Float64) * images["height"]).fill_null(1).to_numpy()
    columns = [np.log(np.maximum(area, 1))]
    columns += [measures[name].fill_null(0).to_numpy().astype(np.float64) for name in _PLAIN]
    columns += [
        np.log(measures[name].fill_null(0).to_numpy().astype(np.float64) + 1e-4)
        for name in _LOGARITHMS
    ]
    table = np.stack(columns, axis=1)
    table = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-9)
    table = np.concatenate([np.ones((len(table), 1)), table, table**2], axis=1)
    explained = np.zeros(len(size))
    fold = np.arange(len(size)) % _FOLDS  # Rows are sorted by hashes: this is a random deal.
    for number in range(_FOLDS):
        known = table[fold != number]
        ridge = _RIDGE * np.eye(table.shape[1])
        weights = np.linalg.solve(known.T @ known + ridge, known.T @ size[fold != number])
        explained[fold == number] = table[fold == number] @ weights
    beyond: NDArray[np.float64] = np.exp(size - explained)
    return beyond
