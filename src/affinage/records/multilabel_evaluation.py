"""MultilabelEvaluation: what a model's sets of labels on one part are worth."""

from dataclasses import dataclass, field

from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """Scores of one label.

    Attributes:
        prevalence: Share of this part's images that have it; also the average precision of chance.
        threshold: Probability from which it is given, chosen on validation.
        precision: Of the images given it, the share that has it; n = given.
        recall: Of the images that have it, the share given it; n = having.
        f1: Harmonic mean of precision and recall; empty where no image has it or is given it.
        average_precision: Area under precision over recall; empty where all images have it or none.
        always_f1: F1 of giving it to every image: what any F1 must beat; None where no image has it.
    """

    prevalence: Estimate
    threshold: float
    precision: Estimate
    recall: Estimate
    f1: Estimate
    average_precision: Estimate
    always_f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelRival:
    """A model that looks at no image, and its scores.

    Attributes:
        predicts: The labels that it gives to every image.
        macro_f1: Mean F1 over the labels that occur.
        micro_f1: F1 of all answers together.
        exact_match: Share of images whose set of labels is exactly right.
        hamming_loss: Share of answers, yes or no, that are wrong.
    """

    predicts: tuple[str, ...]
    macro_f1: Estimate
    micro_f1: Estimate
    exact_match: Estimate
    hamming_loss: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelGain:
    """How much better a model is than one baseline, paired image by image; above 0 it is better.

    Attributes:
        macro_f1: The model's less the baseline's.
        exact_match: The model's less the baseline's.
        hamming_loss: The baseline's less the model's.
    """

    macro_f1: Estimate
    exact_match: Estimate
    hamming_loss: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelMistake:
    """One image with a wrong set of labels.

    Attributes:
        image: Its id.
        path: Relative path, for people.
        missed: Labels that it has and was not given.
        wrong: Labels that it was given and has not.
        confidence: Probability that the model gave to its least believable answer being right.
    """

    image: str
    path: str
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelEvaluation:
    """Scores of one model's labels on one part, with the baselines that it must beat.

    Attributes:
        part: `train`, `validation`, `test`, or the name of another source.
        memory_test: True where the model learnt from these very images: not a forecast.
        n: Number of images.
        classes: Labels in order.
        macro_f1: Mean F1 over the labels that occur in this part.
        micro_f1: F1 of all answers together.
        exact_match: Share of images whose set of labels is exactly right.
        hamming_loss: Share of answers, yes or no, that are wrong.
        mean_average_precision: Mean over the labels that some images have and some have not.
        per_class: Scores by label.
        baselines: `prevalence` (each label that most training images have) and `commonest_set`.
        gains: How much better than each of them.
        mistakes: The surest mistakes first.
    """

    part: str
    memory_test: bool
    n: int
    classes: tuple[str, ...]
    macro_f1: Estimate
    micro_f1: Estimate
    exact_match: Estimate
    hamming_loss: Estimate
    mean_average_precision: Estimate
    per_class: dict[str, LabelScores]
    baselines: dict[str, MultilabelRival]
    gains: dict[str, MultilabelGain]
    mistakes: tuple[MultilabelMistake, ...] = field(default_factory=tuple)
