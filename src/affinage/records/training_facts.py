"""Facts of a training's configuration, as they were while it ran."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["train", "validation", "test"]

Encoding = Literal["class indices", "one-hot", "probabilities", "multi-hot", "counts", "real"]
"""How targets that reach a loss are written: integers below the number of outputs; rows of one 1;
rows that sum to 1; rows of 0 and 1; whole numbers of which some exceed 1; any numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that has weights or is an activation.

    Attributes:
        name: Its path in the model.
        kind: Its class, such as `Conv2d`.
        parameters: Numbers that could be learnt, of this layer alone.
        trainable: How many of them take a gradient (`requires_grad`, `trainable`).
        optimized: How many of the trainable ones the optimizer holds; None where it was not seen.
        settings: Such as the rate of a dropout; by name.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    optimized: int | None = None
    settings: dict[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm:
    """A normalisation by the batch, as it was *during* the training steps that were looked at.

    Attributes:
        name: Path in the model.
        steps: Training steps that were looked at.
        steps_by_batch: In how many of them it normalised by the batch, not by its moving statistics.
        trainable: Whether its own weights take a gradient.
        below_frozen: Whether no parameter of the network takes a gradient in or before this layer.
        values: Numbers per channel that a batch gave it (images x height x width), the smallest seen.
        drift: How far its moving mean went from where it was at the first step, in its own standard
            deviations, mean over channels; None where it keeps none.
        gap: The same distance, between a batch's mean and the moving mean, at the last step seen.
    """

    name: str
    steps: int
    steps_by_batch: int
    trainable: bool
    below_frozen: bool
    values: int | None = None
    drift: float | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A loss from which gradients came.

    Attributes:
        name: In words of PyTorch's functions: `cross_entropy`, `nll_loss`, `mse_loss`, `l1_loss`,
            `smooth_l1_loss`, `huber_loss`, `binary_cross_entropy`,
            `binary_cross_entropy_with_logits`, `poisson_nll_loss`, `gaussian_nll_loss`, `kl_div`,
            `multilabel_soft_margin_loss`, `multi_margin_loss`; or `unknown`.
        activation: What made its input: `none`, `softmax`, `log_softmax`, `sigmoid`, `relu`,
            `softplus`, `tanh`, `exp`; or `unknown`.
        outputs: Numbers per image.
        from_logits: Whether it applies a softmax or sigmoid of its own.
        class_weights: Whether it weighs classes.
        smoothing: Label smoothing.
        part_of: In what phase it was seen: gradients came from it, or it was only measured.
        shapes_differ: Whether it stretched (broadcast) one of its inputs over the other.
        shapes: Of outputs, then of targets, the batch included.
    """

    name: str
    activation: str = "unknown"
    outputs: int | None = None
    from_logits: bool | None = None
    class_weights: bool = False
    smoothing: float = 0.0
    part_of: Literal["training", "validation"] = "training"
    shapes_differ: bool = False
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """What the network gave to the loss, over the steps that were looked at in one phase.

    Attributes:
        part: Of which images.
        n: Numbers looked at.
        minimum: Smallest.
        maximum: Largest.
        rows_sum_to_one: Share of the images whose outputs are in [0, 1] and sum to 1.
        at_zero: Share of the outputs that are exactly 0.
        constant: Share of the outputs (columns) that were the same for all images of a batch.
        columns_sum_to_one: Share of the batches in which each output (or its exponential) sums to 1 over
            the images, and not over the classes.
    """

    part: Part
    n: int
    minimum: float
    maximum: float
    rows_sum_to_one: float
    at_zero: float
    constant: float
    columns_sum_to_one: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What the loss compared the outputs with.

    Attributes:
        part: Of which images.
        encoding: How they are written.
        dtype: Such as `int64`.
        n: Images looked at.
        minimum: Smallest number.
        maximum: Largest number.
        by_class: How many images of each class, by index; of `multi-hot`, images that have it; None
            where targets are no classes.
        mean: Of all numbers, where they are counts or real.
        std: Of all numbers, where they are counts or real.
        whole: Whether all numbers are whole.
        by_value: How often 0, 1, 2, … came, of counts that are one number per image; None elsewhere, and
            where one exceeds 100.
    """

    part: Part
    encoding: Encoding
    dtype: str
    n: int
    minimum: float
    maximum: float
    by_class: tuple[int, ...] | None = None
    mean: float | None = None
    std: float | None = None
    whole: bool = True
    by_value: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """Images as they reached the network.

    Attributes:
        part: Of which images.
        n: Images looked at.
        shape: Of one image as the network took it, channels first.
        minimum: Smallest value.
        maximum: Largest value.
        mean: By channel.
        std: By channel, over all images and pixels.
        constant_images: How many were one flat colour.
        repeated_images: How many were equal to another one that was looked at in the same epoch.
        same_twice: Where the same images were asked for twice: whether they came out equal. False
            means that something random changes them; None where that was not tried.
    """

    part: Part
    n: int
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    constant_images: int = 0
    repeated_images: int = 0
    same_twice: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSets:
    """Values of data sets that lie in memory as a whole, by channel.

    Attributes:
        parts: Those that are counted in `mean` and `std`, the training part first.
        train_images: Images of the training part.
        images: Images of all parts.
        train_mean: Of the training part alone.
        train_std: Of the training part alone.
        mean: Of all parts together.
        std: Of all parts together.
    """

    parts: tuple[Part, ...]
    train_images: int
    images: int
    train_mean: tuple[float, ...]
    train_std: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a pretrained backbone wants to see.

    Attributes:
        backbone: Its name.
        mean: By channel, subtracted from values in [0, 1] (or in `scale`).
        std: By channel, divided by.
        size: Height and width in pixels; None where any will do.
        source: Where that is known from, such as `timm pretrained_cfg`.
        sure: False where it was only guessed by the kind of network.
        inside: True where the network rescales by itself and takes values in [0, 255].
    """

    backbone: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None = None
    source: str = ""
    sure: bool = True
    inside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeding:
    """How one part of the data is fed.

    Attributes:
        part: Which.
        images: How many it has; None where that cannot be told.
        batch_size: Images per step.
        sampler: Class of the sampler or a word of the framework; empty where unknown.
        shuffled: Whether order is random by design; None where that cannot be told.
        neighbours_equal: Share of images whose neighbour in the order in which they came has the
            same label, over `n` pairs.
        neighbours_expected: That share if the order were random.
        n: Pairs of neighbours looked at.
        batch_labels: Mean number of distinct labels in a batch; None where targets are no classes.
        same_order: Whether two epochs came in the same order; None where fewer were seen.
        workers: Of the loader; None where that cannot be told.
        classes: Names in the order of their indices; None where the data set has no names.
        drop_last: Whether the last, smaller batch is left out.
        smallest_batch: Images in the smallest batch that was seen.
        same_under_seed: Whether two copies of the loader give the same first batch after the same seeds
            of torch, NumPy and Python; None where that was not tried.
        seeded: Whether torch's generator was given a seed.
    """

    part: Part
    images: int | None = None
    batch_size: int | None = None
    sampler: str = ""
    shuffled: bool | None = None
    neighbours_equal: float | None = None
    neighbours_expected: float | None = None
    n: int = 0
    batch_labels: float | None = None
    same_order: bool | None = None
    workers: int | None = None
    classes: tuple[str, ...] | None = None
    drop_last: bool | None = None
    smallest_batch: int | None = None
    same_under_seed: bool | None = None
    seeded: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Images that two parts share.

    Attributes:
        first: A part.
        second: Another part.
        shared: Images of `second` that are in `first` too.
        n: Images of `second` that were looked at.
        same_set: Whether both parts are the very same set of images.
        by: `data set` (the same object), `rows` (indices into one set), `files` (paths), `bytes`
            (content of files) or `pixels`.
        relabelled: Shared images whose labels (index) differ between the parts.
        examples: Some of them, by name.
    """

    first: Part
    second: Part
    shared: int
    n: int
    same_set: bool
    by: str
    relabelled: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """What moves the weights.

    Attributes:
        name: Its class.
        learning_rates: By group, at the first step.
        weight_decays: By group.
        momentum: Of the first group; None where it has none.
        settings: Other numbers of the first group, such as `eps`.
        missing: Trainable parameters that no optimizer holds, by name.
        frozen_held: How many parameters without gradients it holds.
        steps: Steps taken while watched.
        backwards_per_step: Mean number of gradients added up for a step.
        zeroed_share: Share of the steps before which gradients had been set to zero.
        without_gradient: Trainable, held parameters that never had a gradient at a step, by name.
        clipped: Whether gradients were clipped.
        scheduler: Class of the learning rate's schedule; empty where there is none.
        scheduler_settings: Its numbers, such as `patience`.
        scheduler_steps: How often the schedule was moved on.
    """

    name: str
    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...] = ()
    momentum: float | None = None
    settings: dict[str, float] | None = None
    missing: tuple[str, ...] = ()
    frozen_held: int = 0
    steps: int = 0
    backwards_per_step: float | None = None
    zeroed_share: float | None = None
    without_gradient: tuple[str, ...] = ()
    clipped: bool | None = None
    scheduler: str = ""
    scheduler_settings: dict[str, float] | None = None
    scheduler_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Where outputs were compared with targets for equality, as an accuracy does.

    Attributes:
        where: File and line of the caller.
        times: How often.
        of: `class indices` (an argmax), `rounded` numbers, or `raw` outputs that need not be whole.
        whole: Share of the compared numbers that were whole.
        rounded_after: Whether the result, or the outputs, were rounded on a later line only.
    """

    where: str
    times: int
    of: Literal["class indices", "rounded", "raw"]
    whole: float
    rounded_after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OneBatch:
    """Whether the network can learn one batch by heart, without augmentation, in a copy.

    Attributes:
        images: In the batch.
        steps: Taken.
        first_loss: Before them.
        last_loss: After them.
        accuracy: Share of the batch that is right after them; None where targets are no classes.
    """

    images: int
    steps: int
    first_loss: float
    last_loss: float
    accuracy: float | None = None
