"""Evaluation: what a model's predictions on one part are worth."""

from dataclasses import dataclass, field

from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        precision: Of the images predicted as this class, the share that is; n = predicted.
        recall: Of this class's images, the share that was found; n = true.
        f1: Harmonic mean of precision and recall; None where both are undefined.
    """

    precision: Estimate
    recall: Estimate
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrongly predicted image.

    Attributes:
        image: Its id.
        path: Relative path, for people.
        truth: Its label.
        predicted: What the model says instead.
        confidence: Probability that the model gave to `predicted`, 0..1.
    """

    image: str
    path: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryCurve:
    """Trade-offs of a two-class model, and the threshold chosen on validation.

    Attributes:
        positive: The class that the threshold is on.
        roc_auc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve.
        false_positive_rate: Points of the ROC curve, ascending, 0..1.
        true_positive_rate: Points of the ROC curve (recall), 0..1.
        precision: Precision at the same thresholds.
        thresholds: Probability of `positive` from which it is called, descending.
        threshold: The threshold chosen on the validation part.
        rule: How it was chosen, in words.
        sensitivity: Share of `positive` that is found at `threshold`.
        specificity: Share of the others that is rightly refused at `threshold`.
    """

    positive: str
    roc_auc: Estimate
    average_precision: float
    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    precision: tuple[float, ...]
    thresholds: tuple[float, ...]
    threshold: float
    rule: str
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of one model on one part, with the baselines that it must beat.

    Attributes:
        part: `train`, `validation`, `test`, or the name of another source.
        memory_test: True where the model learnt from these very images: not a forecast.
        n: Number of images.
        accuracy: Share of right predictions.
        balanced_accuracy: Mean recall over the classes that occur.
        macro_f1: Mean F1 over the classes that occur.
        log_loss: Mean of -ln p(truth), in nats.
        per_class: Scores by class name, in the order of class indices.
        classes: Class names in order: the rows (truth) and columns (predicted) of `confusion`.
        confusion: Counts, `confusion[truth][predicted]`.
        baselines: Accuracy of simple rivals, by name (`largest_class`, `nearest_neighbour`).
        mistakes: The most confident mistakes first.
        binary: Only for two classes.
        gains: Accuracy minus that of each baseline, paired image by image; names as in `baselines`.
    """

    part: str
    memory_test: bool
    n: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    log_loss: Estimate
    per_class: dict[str, ClassScores]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    baselines: dict[str, Estimate]
    mistakes: tuple[Mistake, ...]
    binary: BinaryCurve | None = None
    gains: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A success criterion, declared before the result is known.

    Attributes:
        metric: Such as `accuracy`.
        at_least: The value to reach.
    """

    metric: str
    at_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalAnswer:
    """Whether a goal was reached.

    Attributes:
        goal: What was asked.
        verdict: `met` (the interval's low end reaches it), `not met` (its high end does not),
            or `too few images to say`.
        estimate: What was measured.
        part: Where.
        images_needed: About how many test images would settle it; None where settled.
    """

    goal: Goal
    verdict: str
    estimate: Estimate
    part: str
    images_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One measurement on a test part, as entered in the data set's ledger.

    Attributes:
        at: UTC time, ISO 8601.
        run: Name of the run's folder.
        command: Which verb looked: `train` or `evaluate`.
        images: How many test images.
        fingerprint: SHA-256 over the sorted image ids: the same test part has the same one.
    """

    at: str
    run: str
    command: str
    images: int
    fingerprint: str
