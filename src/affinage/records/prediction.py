"""Prediction: what a model says of one image."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of one image, or why it can say nothing.

    Attributes:
        path: The image as the caller named it.
        label: The predicted class; None where the image could not be read.
        confidence: Calibrated probability of `label`, 0..1; None with it.
        probabilities: Probability of every class by name, in the order of the model's outputs.
        reason: Why there is no prediction; empty where there is one.
        notes: How the image was read where that is not plain.
    """

    path: str
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    reason: str = ""
    notes: tuple[str, ...] = ()
