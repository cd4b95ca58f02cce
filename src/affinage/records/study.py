"""Study: a question about a recipe, the trials that were run for it, and its answer."""

from dataclasses import dataclass, field
from typing import Any, Literal

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding

Stage = Literal["pilot", "explore", "confirm"]
SearchMethod = Literal["tpe", "gp", "asha", "hyperband"]
Fidelity = Literal["images", "epochs", "resolution"]
Says = Literal["helps", "hurts", "no difference", "cannot tell yet"]
Design = Literal["compare", "add-one", "leave-one-out"]
TrialState = Literal["complete", "failed", "pruned"]
Value = str | float | int | bool | None
Settings = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One thing that a question compares: what it sets, by the recipe's own names.

    Attributes:
        name: Short, unique within the study, such as `svm` or `adam, 0.001`.
        settings: Scientific settings, such as (("features.head", "svm"),).
        idle: Tuned settings that change nothing for it, as (name, why): it is not tuned by them.
    """

    name: str
    settings: Settings
    idle: Settings = ()


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
class Search:
    """How the best settings of the leading arm are looked for once it is known.

    Attributes:
        method: `tpe` or `gp` choose settings by what has been seen; `asha` and `hyperband` choose as `tpe`
            does and stop the worse ones early.
        points: Settings to try beyond exploration.
        fidelity: What the early, cheaper tries of `asha` and `hyperband` have less of.
        top: How many of the best are run again on fresh seeds.
        train: Whether the best is trained on train and validation and shown the test part, once.
    """

    method: SearchMethod
    points: int = 24
    fidelity: Fidelity = "images"
    top: int = 3
    train: bool = False


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
        search: How the best settings are looked for after the comparison; None = not at all.
        trial_seconds: A trial that takes longer is stopped; None = by what the pilot's took.
        trial_memory: A trial that holds more bytes is stopped; None = nine tenths of what is free.
        bake_off: Whether arms are backbones, whose size and latency are measured too.
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
    search: Search | None = None
    trial_seconds: float | None = None
    trial_memory: int | None = None
    bake_off: bool = False


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
        state: `complete`, `failed`, or `pruned`: stopped early, as worse than others at the same cost.
        score: Mean of the metric over images; None where it did not come to its end.
        seconds: How long it took.
        error: Why it failed, in a sentence.
        run: Name of the run's folder in the study, of a trial that fine-tuned.
        steps: Scores of its cheaper tries, as (ninths of the full cost, score).
    """

    job: Job
    state: TrialState
    score: float | None
    seconds: float
    error: str = ""
    run: str = ""
    steps: tuple[tuple[int, float], ...] = ()


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
    """What a learning curve says of another number of images, or of classes.

    Attributes:
        size: Images of each class to learn from, or classes to tell apart.
        error: Mean error there (1 - score where the metric is a share), with a 95 % band.
        more: How many more images that is; 0 where classes are counted.
        of: The class whose images are scored; empty = all.
        sentence: The same in words.
    """

    size: int
    error: Estimate
    more: int = 0
    of: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """One of the best settings of a search, run again on fresh seeds.

    Attributes:
        point: Index of the setting in the design.
        settings: As (name, value).
        searched: Its score in the search: the best of many, so too good by luck.
        fresh: Its mean score on the fresh seeds that chose among finalists.
        seeds: How many these are.
    """

    point: int
    settings: Settings
    searched: float
    fresh: float | None
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploited:
    """What the search in the narrowed space has found.

    Attributes:
        arm: Index of the leading arm, whose settings were searched.
        space: Where it was searched.
        tried: Settings tried beyond exploration.
        pruned: How many of them were stopped early.
        failed: How many failed.
        finalists: The best, the winner first.
        luck: By how much the winner scored better in the search than on seeds that chose nothing: the
            winner's curse; negative where it scored better there.
        confirmed: The winner's score on those seeds, with a 95 % interval over images and seeds.
        seeds: How many these are.
        settings: Of the winner, arm's and tuned ones, as `train --set` takes them.
        gain: Over the best of exploration, on the same images and seeds.
    """

    arm: int
    space: tuple[Nuisance, ...]
    tried: int
    pruned: int
    failed: int
    finalists: tuple[Finalist, ...]
    luck: float | None
    confirmed: Estimate
    seeds: int
    settings: Settings
    gain: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The best settings, trained on train and validation together, and one look at the test part.

    Attributes:
        run: The run's folder.
        test: Its score on the test part; None where there is none.
    """

    run: str
    test: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a backbone costs.

    Attributes:
        arm: Index of its arm.
        weights: How many numbers it holds.
        milliseconds: Of one image on one thread, with the spread of the middle half of runs; `n` runs.
        engine: What computed it.
        best: Whether no other backbone is both better and quicker: it lies on the Pareto front.
    """

    arm: int
    weights: int
    milliseconds: Estimate
    engine: str
    best: bool = False


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
        extrapolated: Where images per class, or classes, were varied: what more would probably give.
        exploited: What the search has found; None where none was asked for, or it has not ended.
        trained: The best, trained on all and tested; None where not asked for.
        weighed: In a bake-off, what each backbone costs.
        followed: Folder, within this one, of a study that went on from it; empty = none.
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
    exploited: Exploited | None = None
    trained: Trained | None = None
    weighed: tuple[Weighed, ...] = ()
    followed: str = ""


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
