"""Calibration: probabilities that mean what they say."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from affinage.errors import DataError
from affinage.metrics.classification import check_labels

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature T that makes softmax(logits / T) fit the labels best.

    It changes no prediction, only how sure the model is. The log loss is convex in 1 / T, so
    one bounded search finds its minimum. One image of weight is added that a uniform answer
    would give equally (below), so that a part without a mistake, which by itself asks for
    T → 0 and for boundless confidence, asks for no more than its number of images can support.

    Args:
        logits: Finite, shape (n, classes).
        labels: True class indices, shape (n,).

    Returns:
        A temperature in [0.05, 20]; 1 where there is nothing to fit (no image, one class, or
        logits that do not differ).

    Raises:
        DataError: If the shapes disagree or a logit is not finite.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2; the one image of
        weight is the additive smoothing of Platt, 1999, section 2.2, spread over the classes.
    """
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise DataError(
            f"Logits are finite and of shape (n, classes); these, of {table.shape}, are not.",
            remedy="Give one row for each image; if there is NaN among them, find its cause.",
        )
    truth = check_labels(labels, table.shape[1])
    if len(truth) != len(table):
        raise DataError(
            f"There are {len(truth)} labels but {len(table)} rows of logits.",
            remedy="Give the label and the logits of the same images, in the same order.",
        )
    n = len(truth)
    if n == 0 or table.shape[1] < 2:
        return 1.0
    centred = table - table.mean(axis=1, keepdims=True)  # The loss is the same; so are the sums.
    if np.abs(centred).max() < 1e-12:
        return 1.0
    right = float(centred[np.arange(n), truth].sum())

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        normaliser = float(logsumexp(centred * scale, axis=1).sum())
        # A label spread evenly over the classes has mean logit 0 after centring: it costs the
        # mean normaliser, once for all images together.
        return float(normaliser * (1 + 1 / n) - right * scale)

    found = minimize_scalar(
        loss,
        bounds=(np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
