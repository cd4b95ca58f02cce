"""How often a model is right on images without labels, as far as its confidence can tell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import resample, wilson
from affinage.records.estimate import Estimate

FEWEST = 30
"""Validation images and images of the window below which nothing is said."""

_DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """An accuracy that nobody has measured.

    Attributes:
        estimate: With an interval that holds for images like those of validation, or harder ones on which
            the model's confidence means what it meant there. Empty where nothing can be said.
        by_threshold: By the share of images above a confidence.
        by_confidence: By the mean confidence.
        on_validation: The accuracy on the validation part, which has labels.
    """

    estimate: Estimate
    by_threshold: float | None
    by_confidence: float | None
    on_validation: Estimate


def estimate_accuracy(
    validation: NDArray[np.floating], right: NDArray[np.bool_], window: NDArray[np.floating]
) -> Unlabelled:
    """Return the accuracy on a window of images without labels, from the model's confidence alone.

    The value is the accuracy on validation plus the change of the mean confidence. A second estimate
    is the share of images above a confidence that as large a share of validation lies above as is right
    there. The interval comes from drawing validation and window anew, and reaches over both: how far
    they disagree says how far confidence may mislead. It is never narrower than what is known of validation
    itself (Wilson): 32 of 32 right leaves much open.

    What no confidence can tell is how often a model is right on what it never met: a new class is
    answered with some confidence too.

    Args:
        validation: Probability of the label given to each validation image, shape (n,).
        right: Whether that label was right, shape (n,).
        window: The same probability for the images without labels, shape (m,).

    Source:
        Garg et al., Leveraging Unlabeled Data to Predict Out-of-Distribution Performance, 2022 (ATC);
        Guillory et al., Predicting with Confidence on Unseen Distributions, 2021 (DoC).
    """
    n, m = len(validation), len(window)
    measured = wilson(int(right.sum()), n)
    if min(n, m) < FEWEST:
        return Unlabelled(
            estimate=_nothing(m), by_threshold=None, by_confidence=None, on_validation=measured
        )
    known, asked = resample(n, seed=1, draws=_DRAWS), resample(m, seed=2, draws=_DRAWS)
    drawn = [_both(validation[a], right[a], window[b]) for a, b in zip(known, asked, strict=True)]
    ends = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    by_threshold, by_confidence = _both(validation, right, window)
    below, above = _open(measured)
    return Unlabelled(
        estimate=Estimate(
            value=by_confidence,
            low=float(np.clip(min(ends[0].min(), by_confidence - below), 0, 1)),
            high=float(np.clip(max(ends[1].max(), by_confidence + above), 0, 1)),
            n=m,
        ),
        by_threshold=by_threshold,
        by_confidence=by_confidence,
        on_validation=measured,
    )


def _both(
    validation: NDArray[np.floating], right: NDArray[np.bool_], window: NDArray[np.floating]
) -> tuple[float, float]:
    """Return the estimate by threshold and the one by confidence."""
    accuracy = float(right.mean())
    # Between two images, so that a share of validation above it is right, not above or at it.
    threshold = np.quantile(validation, 1 - accuracy, method="linear")
    by_threshold = float((window >= threshold).mean())
    by_confidence = accuracy + float(window.mean()) - float(validation.mean())
    return by_threshold, float(np.clip(by_confidence, 0, 1))


def _open(measured: Estimate) -> tuple[float, float]:
    """Return how far the interval reaches below and above the value."""
    value, low, high = measured.value or 0.0, measured.low or 0.0, measured.high or 1.0
    return value - low, high - value


def _nothing(n: int) -> Estimate:
    return Estimate(value=None, low=None, high=None, n=n)
