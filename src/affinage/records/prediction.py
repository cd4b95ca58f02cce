"""Prediction: what a model says of one image."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of one image, or why it can say nothing.

    Attributes:
        path: The image as the caller named it.
        label: The predicted class; None where the image could not be read, and for other tasks.
        confidence: Calibrated probability of `label`, 0..1; None with it.
        probabilities: Probability of every class by name, in the order of the model's outputs; empty
            where counts are predicted.
        labels: Several labels: those whose probability reaches their threshold.
        counts: Counts: how many objects of each class are expected, by name.
        ranges: Counts: between which numbers the true count lies for 9 images of 10, by name.
        reason: Why there is no prediction; empty where there is one.
        notes: How the image was read where that is not plain.
    """

    path: str
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    labels: tuple[str, ...] = ()
    counts: dict[str, float] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the image could be read."""
        return not self.reason
