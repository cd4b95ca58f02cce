"""Question: what is compared, what is tuned, and what would count as an answer."""

from dataclasses import dataclass, field
from typing import Any, Literal

SearchMethod = Literal["tpe", "gp", "asha", "hyperband"]
Fidelity = Literal["images", "epochs", "resolution"]
Design = Literal["compare", "add-one", "leave-one-out"]
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
