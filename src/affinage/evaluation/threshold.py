"""From which probability on the class to find is called."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affinage.errors import DataError, RecipeError


def choose_threshold(
    probabilities_of_positive: ArrayLike,
    is_positive: ArrayLike,
    *,
    sensitivity: float | None = None,
    miss_cost: float | None = None,
) -> tuple[float, str]:
    """Return the probability from which `positive` is called, and the rule in words.

    With `sensitivity`, the highest threshold that still finds that share of the positives of
    these images (the share, not its interval's low end). With `miss_cost` c, the threshold at
    which a false alarm and a missed positive cost the same on average, 1 / (1 + c): it needs
    calibrated probabilities and, unlike the best cut on these images, no luck. With neither, 0.5.

    Args:
        probabilities_of_positive: In [0, 1], shape (n,).
        is_positive: Booleans, shape (n,).
        sensitivity: In (0, 1].
        miss_cost: Positive: one missed positive costs so many false alarms.

    Returns:
        A threshold in [0, 1]; an image is called positive where its probability reaches it.

    Raises:
        DataError: If the shapes disagree, a probability is not one, or `sensitivity` is asked for
            without a positive image.
        RecipeError: If both rules are given, or one is out of range.

    Source:
        Elkan, The Foundations of Cost-Sensitive Learning, 2001, equation 2.
    """
    scores = np.asarray(probabilities_of_positive, dtype=np.float64)
    truth = np.asarray(is_positive).astype(bool)
    if scores.ndim != 1 or scores.shape != truth.shape or not _in_unit(scores):
        raise DataError(
            f"A threshold needs probabilities and truths (n,), not {scores.shape}, {truth.shape}.",
            remedy="Give one probability in [0, 1] and one truth for each image.",
        )
    _check_rules(sensitivity, miss_cost)
    if sensitivity is not None:
        return _for_sensitivity(scores[truth], sensitivity)
    if miss_cost is not None:
        rule = f"a missed one costs {miss_cost:g} false alarms: 1 / (1 + {miss_cost:g})"
        return 1 / (1 + miss_cost), rule
    return 0.5, "the more probable class"


def _for_sensitivity(positives: NDArray[np.float64], sensitivity: float) -> tuple[float, str]:
    n = len(positives)
    if not n:
        raise DataError(
            "No image of the class to find: its threshold cannot be chosen.",
            remedy="Add some to the validation part, or name another class as `positive`.",
        )
    # The margin keeps 0.7 of 10 at 7: in floating point 0.7 * 10 may exceed it.
    needed = max(1, int(np.ceil(sensitivity * n - 1e-9)))
    threshold = float(np.sort(positives)[n - needed])
    found = int((positives >= threshold).sum())
    return threshold, f"finds at least {sensitivity:.4g} of the {n} chosen on ({found} of {n})"


def _check_rules(sensitivity: float | None, miss_cost: float | None) -> None:
    if sensitivity is not None and miss_cost is not None:
        raise RecipeError(
            "sensitivity and miss_cost both choose the threshold.", remedy="Give one of them."
        )
    if sensitivity is not None and not 0 < sensitivity <= 1:
        raise RecipeError(
            f"sensitivity is a share in (0, 1], not {sensitivity}.", remedy="Give 0.95, say."
        )
    if miss_cost is not None and not 0 < miss_cost < np.inf:
        raise RecipeError(
            f"miss_cost is a positive number, not {miss_cost}.",
            remedy="Give how many false alarms one missed image is worth.",
        )


def _in_unit(values: NDArray[np.float64]) -> bool:
    return bool(np.all((values >= 0) & (values <= 1 + 1e-6)))
