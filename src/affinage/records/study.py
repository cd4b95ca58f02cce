"""Study: the trials that were run for a question, and all that is known of it."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.answer import Answer
from affinage.records.question import Question, Settings

Stage = Literal["pilot", "explore", "confirm"]
TrialState = Literal["complete", "failed", "pruned"]


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
class ArmCurve:
    """How the trainings of one arm came on, the mean over its fresh seeds.

    Attributes:
        arm: Index of the arm.
        series: What is drawn: the metric where trainings keep it, else `loss`.
        on: `train (evaluation mode)` or `validation`.
        points: (epochs, mean), by epochs; only where every seed has a point.
        seeds: How many.
    """

    arm: int
    series: str
    on: str
    points: tuple[tuple[float, float], ...]
    seeds: int


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
