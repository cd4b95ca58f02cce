"""Bundle: a model on its way out, as data; what the reader, the server and the monitor rely on."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affinage.records.estimate import Estimate
from affinage.records.preprocessing import Preprocessing

FORMAT = 1
"""Version of `bundle.json` and of what the files beside it hold."""

ModelFormat = Literal["onnx", "openvino", "torch"]
Precision = Literal["fp32", "bf16", "int8"]
OutputKind = Literal["probability", "count", "share"]

IMAGES, PREPARED = "images", "prepared"
"""Inputs: uint8 RGB (batch, height, width, 3); and whether these are views already (ONNX, optional)."""

FEATURES, OUTPUTS = "features", "outputs"
"""Outputs: what stands before the head (batch, length), and one number for each label (batch, labels)."""

MEASURES = (
    "brightness", "contrast", "dark", "bright", "sharpness", "colour", "entropy", "focus", "flat",
    "palette", "darkest", "lightest", "variation", "tint", "width", "height", "bytes",
)  # fmt: skip
"""Columns of a baseline's measures: of `imaging.measure`, then the sides in px, then the file's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a row of outputs becomes an answer; temperature and activation are in the outputs already.

    Attributes:
        task: `classify`, `multilabel` or `count`.
        labels: Their names in the order of the outputs.
        kind: What an output is: a calibrated probability, an expected count, or a share of the objects.
        temperature: What logits were divided by within the model; 1 where there is none.
        positive: Of two classes, the one that a threshold is on; empty otherwise.
        threshold: Probability of `positive` from which it is called; None for the plain maximum.
        rule: How the threshold was chosen, in words.
        thresholds: Several labels: probability of each from which it is given.
        margins: Counts: what is taken from and added to each expected count for its interval, in units
            of √(expected + 1); empty where too few images were there to say.
        coverage: Counts: share of new counts that these intervals are to hold.
    """

    task: str
    labels: tuple[str, ...]
    kind: OutputKind
    temperature: float = 1.0
    positive: str = ""
    threshold: float | None = None
    rule: str = ""
    thresholds: tuple[float, ...] = ()
    margins: tuple[tuple[float, float], ...] = ()
    coverage: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step from a file to an answer, in the trained model and in the exported one.

    Attributes:
        name: `pixels` (decoded), `view` (resized and cut), `tensor` (normalised), `features`, `outputs`
            or `answers`.
        max_abs_difference: The largest difference of any number; of `pixels` and `view` in grey levels.
        mean_abs_difference: Over all numbers.
        allowed: What the largest may be; None where the stage is only told of.
    """

    name: str
    max_abs_difference: float
    mean_abs_difference: float
    allowed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The proof that the exported model answers as the trained one, on real images.

    Attributes:
        images: Images of the run's validation part that were compared.
        changed_top1: Of these, how many get another answer: another label, another set of labels,
            another whole count.
        max_abs_difference: The largest difference by stage.
        stages: Each step, given the trained model's own input of that step.
        against: What the trained model was computed in.
    """

    images: int
    changed_top1: int
    max_abs_difference: dict[str, float]
    stages: tuple[Stage, ...]
    against: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a lower precision costs, on the images of the validation part.

    Attributes:
        metric: The deciding score of the task; accuracy, macro F1, or the mean absolute error.
        before: Of the trained model.
        after: Of the exported model.
        lost: The paired difference, positive where the exported model is worse: points of 100, or for
            the mean absolute error percent of it.
        allowed: What it may be at most.
        surely: Whether the upper end of the interval of `lost` is held against `allowed`; else its value.
    """

    metric: str
    before: Estimate
    after: Estimate
    lost: Estimate
    allowed: float
    surely: bool = False

    @property
    def counted(self) -> float:
        """What is held against `allowed`; infinite where nothing was measured."""
        counted = self.lost.high if self.surely else self.lost.value
        return float("inf") if counted is None else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """How int8 was made.

    Attributes:
        method: In words.
        images: Images of the training part that the ranges of numbers were measured on.
        per_channel: Whether weights have a scale for each output channel.
        layers: Layers computed in int8.
        kept: Layers left in fp32, because the score asked for it or they cannot be otherwise.
        tried: What was tried on the way, in order, in words.
    """

    method: str
    images: int
    per_channel: bool
    layers: int
    kept: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one image takes, from pixels of the median frame to its answer.

    Attributes:
        threads: That compute.
        images: How many were timed, one after the other.
        median_ms: Median, milliseconds.
        p95_ms: 95th percentile, milliseconds.
        p99_ms: 99th percentile, milliseconds.
    """

    threads: int
    images: int
    median_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a bundle costs on one machine.

    Attributes:
        processor: Name of the processor.
        cores: Processors that the process may use.
        runtime: What computed, with its version.
        size_mb: Of the model's files, MB (1,000,000 bytes).
        peak_mb: Most memory that a fresh process held which opened the bundle and read images, MB;
            None where the system does not tell.
        frame: Width and height of the images, pixels.
        latencies: By number of threads.
    """

    processor: str
    cores: int
    runtime: str
    size_mb: float
    peak_mb: float | None
    frame: tuple[int, int]
    latencies: tuple[Latency, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a bundle comes from.

    Attributes:
        run: Name of the run.
        created: UTC time of the export, ISO 8601.
        affinage: Version of this package.
        data: Name of the data set.
        backbone: Name of the network.
        weights: Where its starting weights came from, in words.
        licence: Licence of the starting weights.
        parameters: Number of weights, head included.
        train: Images in the training part.
        validation: Images in the validation part.
        test: Images in the test part.
        scores: The run's scores by part and name.
        choice: Why this model was kept, and whether it learnt the validation part too, in words.
    """

    run: str
    created: str
    affinage: str
    data: str
    backbone: str
    weights: str
    licence: str
    parameters: int
    train: int
    validation: int
    test: int
    scores: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    choice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All that is known of an exported model, but its weights and its baseline.

    Attributes:
        model_format: What the model's file is.
        precision: What it computes in.
        model_file: Its name in the bundle.
        any_size: Whether the model resizes and cuts by itself; else it takes views of
            `preprocessing.height` × `preprocessing.width`, and the reader prepares them.
        batch: Images of every pass where the shape is fixed; None for any number.
        preprocessing: How a frame becomes a view, and a view a tensor.
        features: Length of the features.
        reading: How outputs become answers.
        origin: Where it comes from.
        parity: The proof.
        loss: What the precision costs; None for fp32.
        quantised: How int8 was made; None otherwise.
        speed: Measured where it was exported; None where that was not asked.
        format: Version of this record.
    """

    model_format: ModelFormat
    precision: Precision
    model_file: str
    any_size: bool
    preprocessing: Preprocessing
    features: int
    reading: Reading
    origin: Origin
    parity: Parity
    batch: int | None = None
    loss: Loss | None = None
    quantised: Quantised | None = None
    speed: Speed | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePart:
    """Images of one part as the exported model saw them: what new images are compared with.

    Attributes:
        images: Their ids: SHA-256 of their bytes.
        measures: Columns of `MEASURES`, shape (n, len(MEASURES)), float32.
        features: Shape (n, length), float16.
        outputs: Shape (n, labels), float32: probabilities or counts, as `Reading.kind` says.
        targets: Truth: index of the label (n,) int64 for `classify`; 0 and 1, or counts, (n, labels) float32
            for the others.
    """

    images: tuple[str, ...]
    measures: NDArray[np.float32]
    features: NDArray[np.float16]
    outputs: NDArray[np.float32]
    targets: NDArray[np.int64] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the median image, pixels."""
        sides = self.measures[:, [MEASURES.index("width"), MEASURES.index("height")]]
        width, height = np.median(sides, axis=0).round().astype(int).tolist()
        return max(1, width), max(1, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the model saw before it left: at most 2,000 images of each part, drawn by their ids.

    The model learnt from `train`: its features and outputs there are surer than on any new image.
    `validation` is what new images from the same place look like to it.

    Attributes:
        train: Of the training part.
        validation: Of the validation part.
    """

    train: BaselinePart
    validation: BaselinePart
