"""Answer: what a study found, with its uncertainty."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.question import Nuisance, Settings

Says = Literal["helps", "hurts", "no difference", "cannot tell yet"]


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
