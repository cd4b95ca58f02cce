"""Run: what a training left behind, as data."""

from dataclasses import dataclass, field

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.estimate import Estimate
from affinage.records.evaluation import GoalAnswer, Look
from affinage.records.finding import Finding
from affinage.records.preprocessing import Preprocessing
from affinage.records.signals import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What one stage did.

    Attributes:
        name: `features` or `finetune`.
        seconds: How long it took (over all sittings of a resumed run).
        kept: True where its model is the run's final one.
        summary: What happened, in a sentence or two.
        facts: Named numbers and words, such as `penalty`, `parity_max_abs_difference`, `epochs`.
        validation: Its scores on the validation part; None where it was not measured.
    """

    name: str
    seconds: float
    kept: bool
    summary: str
    facts: dict[str, str | float | int | bool | None] = field(default_factory=dict)
    validation: AnyEvaluation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Versions and hardware that a run was made with.

    Attributes:
        affinage: Version of this package.
        python: Version of Python.
        platform: Operating system and processor architecture.
        processor: Name of the processor.
        cores: Processors that this process may use.
        memory_gib: Memory of the machine, GiB.
        packages: Versions of the packages that matter for the numbers.
        accelerators: Accelerators seen.
        device: Where tensors were computed, such as `cpu` or `cuda:0`.
        device_reason: Why that one.
    """

    affinage: str
    python: str
    platform: str
    processor: str
    cores: int
    memory_gib: float
    packages: dict[str, str]
    accelerators: tuple[str, ...]
    device: str
    device_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What validation said of how a model's outputs are to be read.

    Attributes:
        temperature: Logits are divided by this before the softmax or sigmoid (1 = uncalibrated).
        positive: Of two classes, the one that a threshold is on; empty otherwise.
        threshold: Probability of `positive` from which it is called; None for the plain maximum.
        rule: How the threshold was chosen, in words.
        thresholds: Several labels: probability of each from which it is given, in the order of classes.
        largest: Counts: the largest of each class in the training part.
        margins: Counts: what is taken from and added to each expected count for its interval.
        coverage: Counts: share of new counts that these intervals are to hold.
    """

    temperature: float = 1.0
    positive: str = ""
    threshold: float | None = None
    rule: str = ""
    thresholds: tuple[float, ...] = ()
    largest: tuple[float, ...] = ()
    margins: tuple[tuple[float, float], ...] = ()
    coverage: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything needed to use the trained weights again.

    Attributes:
        task: Name of the task.
        backbone: timm name.
        weights: Where the starting weights came from, in words.
        weights_sha256: Checksum of the starting weights; empty for random ones.
        licence: Licence of the starting weights.
        parameters: Number of weights, head included.
        preprocessing: What the network wants to see.
        classes: Label names in the order of the outputs.
        outputs: Numbers that the head gives per image; 0 where it is one for each class.
        calibration: How its outputs are to be read.
    """

    task: str
    backbone: str
    weights: str
    weights_sha256: str
    licence: str
    parameters: int
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    outputs: int = 0
    calibration: Calibration = Calibration()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A finished run, as read from its folder; what reports and `show` speak of.

    Attributes:
        name: Name of the run's folder.
        created: UTC time of its start, ISO 8601.
        data: Name of the data set.
        sources: Names of the sources (no paths).
        recipe: The resolved recipe as YAML text.
        seed: Seed of every random number.
        environment: Versions and hardware.
        model: The kept model.
        split: Number of images by part: `train`, `validation`, `test`.
        class_counts: Images by class, then by part.
        left_out: Number of images by reason that are in no part.
        closed_set: Validation is the training images on purpose.
        carved: Validation was cut from the train part, and the chosen head was refitted on both.
        stages: In the order in which they ran.
        choice: Why the kept model was kept, in a sentence.
        evaluations: By part: `validation`, and `test` where there is one.
        goal: Answer to the declared goal; None where none was declared.
        looks: Every look at this test part, this run's last; from the data set's ledger.
        findings: What the owner should know, most severe first.
        signals: Curves.
        seconds: Total by phase: `scan`, `features`, `finetune`, `evaluation`..., in order.
        budget_seconds: What `--budget` asked; None without.
        own_metrics: Scores of the user's own metrics, by part and name.
    """

    name: str
    created: str
    data: str
    sources: tuple[str, ...]
    recipe: str
    seed: int
    environment: Environment
    model: ModelCard
    split: dict[str, int]
    class_counts: dict[str, dict[str, int]]
    left_out: dict[str, int]
    closed_set: bool
    carved: bool
    stages: tuple[StageResult, ...]
    choice: str
    evaluations: dict[str, AnyEvaluation]
    goal: GoalAnswer | None
    looks: tuple[Look, ...]
    findings: tuple[Finding, ...]
    signals: Signals
    seconds: dict[str, float]
    budget_seconds: float | None = None
    own_metrics: dict[str, dict[str, Estimate]] = field(default_factory=dict)
