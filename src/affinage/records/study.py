"""Study: a question about a recipe, the trials that were run for it, and its answer."""

from dataclasses import dataclass, field
from typing import Any, Literal

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding

Stage = Literal["pilot", "explore", "confirm"]
Says = Literal["helps", "hurts", "no difference", "cannot tell yet"]
Design = Literal["compare", "add-one", "leave-one-out"]
TrialState = Literal["complete", "failed"]
Value = str | float | int | bool | None
Settings = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One thing that a question compares: what it sets, by the recipe's own names.

    Attributes:
        name: Short, unique within the study, such as `svm` or `adam, 0.001`.
        settings: Scientific settings, such as (("features.head", "svm"),).
    """

    name: str
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A nuisance parameter that is a number: where it is tuned.

    Attributes:
        key: Name of the setting.
        low: Least value.
        high: Greatest value, above `low`.
        log: Drawn evenly on a logarithmic axis.
        whole: Only whole numbers.
    """

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A nuisance parameter that is one of several values."""

    key: str
    values: tuple[Value, ...]


Nuisance = Span | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and what would count as an answer; fixed before the first trial.

    Attributes:
        question: In words; made of the settings where nobody gave one.
        why: Why it is asked.
        expectation: What the asker expects to see.
        sources: Folders or tables of images.
        recipe: The recipe that all trials start from, as nested settings.
        fixed: `key=value` settings that hold for every trial.
        arms: What is compared; the first is what the others are compared with.
        design: How arms are paired: each with the first, each with the one before, each with the last.
        nuisance: What is tuned anew for each arm, at equal budget.
        metric: What a trial is scored by, for each image.
        smallest: Smallest difference that matters, in the metric's unit; None = what can be detected.
        points: Nuisance settings tried for each arm.
        repeats: Most fresh seeds for each arm.
        budget: Seconds of trials at most; None for no bound.
        folds: Parts that are held out in turn, in trials that fit heads only.
        seed: Of the design and of every trial.
        images: At most so many images; None for all.
        data: Where the data set's folder lies; None for the default.
    """

    question: str
    why: str = ""
    expectation: str = ""
    sources: tuple[str, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    arms: tuple[Arm, ...]
    design: Design = "compare"
    nuisance: tuple[Nuisance, ...] = ()
    metric: str = "accuracy"
    smallest: float | None = None
    points: int = 16
    repeats: int = 10
    budget: float | None = None
    folds: int = 5
    seed: int = 0
    images: int | None = None
    data: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Job:
    """One trial to be run: an arm, a nuisance setting, a seed.

    Attributes:
        arm: Index of the arm.
        point: Index of the nuisance setting in the design.
        repeat: 0 in exploration; 1, 2, … in pilot and confirmation, which share seeds across arms.
    """

    arm: int
    point: int
    repeat: int

    @property
    def key(self) -> str:
        """A name that is the same for the same trial."""
        return f"{self.arm}-{self.point}-{self.repeat}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial that has ended.

    Attributes:
        job: What was run.
        state: `complete` or `failed`.
        score: Mean of the metric over images; None where it failed.
        seconds: How long it took.
        error: Why it failed, in a sentence.
        run: Name of the run's folder in the study, of a trial that fine-tuned.
    """

    job: Job
    state: TrialState
    score: float | None
    seconds: float
    error: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What was said after the pilot, before the budget was spent.

    Attributes:
        detectable: Difference that would be found in four of five such studies; None = cannot be said.
        smallest: The difference that counts: as asked, or the detectable one.
        n: Images that every trial is scored on.
        points: Nuisance settings for each arm that the budget allows.
        repeats: Seeds for each arm that the budget allows.
        looks: After how many repeats the results are looked at.
        trial_seconds: Of one trial, in the pilot.
        seconds: What the whole is expected to take.
    """

    detectable: float | None
    smallest: float
    n: int
    points: int
    repeats: int
    looks: tuple[int, ...]
    trial_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one arm gains over the arm that it is compared with.

    Attributes:
        arm: Index of the arm.
        against: Index of the arm that it is compared with.
        says: The verdict.
        sentence: The verdict with its figures.
        effect: Gain (positive is better) with its interval; `n` counts images.
        level: Coverage of that interval: 1 minus the error that this look may spend.
        repeats: Seeds that it rests on.
        bootstrap: The same by the paired bootstrap over images and seeds, at 95 %.
        more_repeats: How many more would probably do; None where repeats alone do not help.
        more_images: How many more images would probably do; None where not needed.
    """

    arm: int
    against: int
    says: Says
    sentence: str
    effect: Estimate
    level: float
    repeats: int
    bootstrap: Estimate
    more_repeats: int | None = None
    more_images: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """What one arm scored.

    Attributes:
        name: Of the arm.
        best: Nuisance settings that did best in exploration, as (name, value).
        explored: Its mean score there: the best of several, so too good by luck.
        confirmed: Its score on fresh seeds, with a 95 % interval over images and seeds.
        spread: Standard deviation of its mean score over seeds; None for fewer than two.
        seeds: On how many fresh seeds.
        tried: Nuisance settings that were tried.
        failed: How many of its trials failed.
        seconds: Mean time of one of its trials.
    """

    name: str
    best: Settings
    explored: float | None
    confirmed: Estimate
    spread: float | None
    seeds: int
    tried: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Share of the spread of scores in exploration that goes with one parameter, or a pair of them."""

    parameters: tuple[str, ...]
    share: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolated:
    """What a learning curve says of another number of images.

    Attributes:
        size: Images of each class to learn from.
        error: Mean error there (1 - score where the metric is a share), with a 95 % band.
    """

    size: int
    error: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a study found.

    Attributes:
        verdict: In one sentence.
        finished: False where the budget ended before every comparison was answered.
        arms: In the order of the question.
        differences: One per comparison.
        importance: Of nuisance and scientific parameters, the greatest first.
        findings: Bounds that cut the optimum off, settings that failed.
        trials: How many trials are complete.
        failed: How many failed.
        seconds: Time that trials took.
        next_question: What to ask next.
        extrapolated: Where images per class were varied: what more of them would probably give.
    """

    verdict: str
    finished: bool
    arms: tuple[ArmResult, ...]
    differences: tuple[Difference, ...]
    importance: tuple[Importance, ...]
    findings: tuple[Finding, ...]
    trials: int
    failed: int
    seconds: float
    next_question: str
    extrapolated: tuple[Extrapolated, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study as read from its folder.

    Attributes:
        name: Of the folder.
        asked: UTC time, ISO 8601.
        question: What was asked.
        design: Nuisance settings by point, each a tuple of (name, value).
        images: How many images every trial is scored on; None before the first.
        announced: What was said before the budget was spent; None before the pilot is over.
        trials: That have ended, one for each job.
        answer: None before there is one.
    """

    name: str
    asked: str
    question: Question
    design: tuple[Settings, ...]
    images: int | None
    announced: Announced | None
    trials: tuple[Trial, ...]
    answer: Answer | None
