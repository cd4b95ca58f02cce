"""CountEvaluation: what a model's counts on one part are worth."""

from dataclasses import dataclass, field

from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CountScores:
    """Scores of the counts of one class.

    Attributes:
        mae: Mean of |expected - true|, in objects; the expected count is not rounded.
        rmse: Root of the mean squared error, in objects: large errors weigh more.
        bias: Mean of expected - true, in objects: below 0 it counts too few.
        within_one: Share of images whose rounded count is at most 1 off.
        exact: Share of images whose rounded count is right.
    """

    mae: Estimate
    rmse: Estimate
    bias: Estimate
    within_one: Estimate
    exact: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRival:
    """Always the same count, known from the training part, and its scores.

    Attributes:
        predicts: That count.
        mae: Its mean absolute error, in objects.
        rmse: Its root mean squared error, in objects.
        within_one: Share of images at most 1 off, once rounded.
        exact: Share of images that have it, once rounded.
    """

    predicts: float
    mae: Estimate
    rmse: Estimate
    within_one: Estimate
    exact: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRivals:
    """The baselines of one class: the mean, the median and the mode of the training part."""

    mean: CountRival
    median: CountRival
    mode: CountRival


@dataclass(frozen=True, slots=True, kw_only=True)
class CountGain:
    """How much better a model counts than one baseline, paired image by image.

    Attributes:
        mae: The baseline's mean absolute error less the model's, in objects; above 0 it is better.
        exact: The model's share of exact counts less the baseline's; above 0 it is better.
    """

    mae: Estimate
    exact: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CountGains:
    """Gains over each baseline of one class."""

    mean: CountGain
    median: CountGain
    mode: CountGain


@dataclass(frozen=True, slots=True, kw_only=True)
class CountConfusion:
    """How often which count was said of which.

    Attributes:
        values: Counts that occur or were said, ascending.
        table: Images, `table[true][said]`, in the order of `values`.
        on_diagonal: Share of images on the diagonal.
    """

    values: tuple[int, ...]
    table: tuple[tuple[int, ...], ...]
    on_diagonal: Estimate

    def csv(self) -> str:
        """Return the table as CSV: one line for each true count, one column for each that was said."""
        head = ",".join(["true \\ predicted", *map(str, self.values)])
        lines = (
            ",".join(map(str, (value, *row)))
            for value, row in zip(self.values, self.table, strict=True)
        )
        return "\n".join([head, *lines]) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountInterval:
    """What the intervals around the counts of one class turned out to hold.

    Attributes:
        coverage: Share of images whose true count lay in its interval.
        width: Mean number of counts in an interval, 1 or more.
    """

    coverage: Estimate
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CountMistake:
    """One count that is far off.

    Attributes:
        image: Id of the image.
        path: Relative path, for people.
        name: The class.
        truth: Its true count.
        predicted: The expected count, not rounded.
    """

    image: str
    path: str
    name: str
    truth: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CountEvaluation:
    """Scores of one model's counts on one part, with the baselines that it must beat.

    Attributes:
        part: `train`, `validation`, `test`, or the name of another source.
        memory_test: True where the model learnt from these very images: not a forecast.
        n: Number of images.
        classes: Class names in order.
        rounding: How whole counts are made of expected ones: `nearest` (halves up) or `floor`.
        mae: Mean over the classes of their `mae`, in objects.
        rmse: Mean over the classes of their `rmse`, in objects.
        bias: Mean over the classes of their `bias`, in objects.
        within_one: Mean over the classes of their `within_one`.
        exact: Mean over the classes of their `exact`.
        all_exact: Share of images with every count right.
        per_class: Scores by class name.
        baselines: By class name, those of the mean, the median and the mode of the training part.
        gains: By class name, how much better than each of them.
        confusion: By class name, counts against counts.
        mistakes: The counts that surprise most first.
        interval: Share of new counts that intervals were made to hold; None without intervals.
        intervals: By class name, what they did hold; empty without.
    """

    part: str
    memory_test: bool
    n: int
    classes: tuple[str, ...]
    rounding: str
    mae: Estimate
    rmse: Estimate
    bias: Estimate
    within_one: Estimate
    exact: Estimate
    all_exact: Estimate
    per_class: dict[str, CountScores]
    baselines: dict[str, CountRivals]
    gains: dict[str, CountGains]
    confusion: dict[str, CountConfusion]
    mistakes: tuple[CountMistake, ...]
    interval: float | None = None
    intervals: dict[str, CountInterval] = field(default_factory=dict)
