"""Signals: what a training showed while it ran."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from affinage.records.plain import from_plain, to_plain
from affinage.records.training_facts import (
    BatchNorm,
    Comparison,
    Expected,
    Feeding,
    InputFacts,
    Layer,
    Objective,
    OneBatch,
    Optimizer,
    OutputFacts,
    Overlap,
    TargetFacts,
    WholeSets,
)

Origin = Literal["run", "watch", "script", "callback", "logs", "preflight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured value of one series, once per look (mostly: per epoch).

    Attributes:
        stage: `features` or `finetune`; `training` where there are no stages.
        series: Such as `loss`, `accuracy`, `mae`, `learning_rate`.
        on: `train (running)` for the mean while training, in training mode; `train (training mode)`
            and `train (evaluation mode)` for one and the same sample of training images after the
            epoch, in both modes; `validation`; `test`; `` where no images are meant.
        epoch: Position in epochs, 0 before the first step; for `features` the rank of the penalty tried.
        value: The value.
    """

    stage: str
    series: str
    on: str
    epoch: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One number at the steps that were looked at.

    Attributes:
        name: Of the whole training: `loss`, `learning_rate`, `gradient_norm`, `waiting_seconds` (for
            data), `computing_seconds`, `batch_size`, `memory_mb`, `training_mode` (1, or 0
            where the network itself was in evaluation mode); of one layer: `weight_norm`,
            `update_ratio` (norm of the step's change over norm of the weights), `gradient_norm`,
            `equal_units` (share of its units that had the weights of its first one),
            `activation_mean`, `activation_std`, `zero_fraction` (of all its outputs), `dead_units`
            (share of its channels that were 0 for the whole batch), `saturation` (share of a sigmoid's
            or tanh's outputs within 1 % of its ends), `non_finite` (numbers that are NaN or infinite
            among its outputs and gradients).
        layer: Its path in the model; empty for the whole training.
        steps: Numbers of the steps, from 1 on, ascending.
        values: As many; None where it was NaN or infinite.
    """

    name: str
    layer: str = ""
    steps: tuple[int, ...] = ()
    values: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Which classes were predicted, beside those that were right, after an epoch.

    Attributes:
        on: As of a `Point`.
        epoch: When.
        predicted: Images by predicted class, by index.
        true: Images by true class, by index.
        hits: Images by true class that were predicted right.
    """

    on: str
    epoch: float
    predicted: tuple[int, ...]
    true: tuple[int, ...]
    hits: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a score would be for a model that ignores the image.

    Attributes:
        series: Such as `accuracy`, `loss`, `mae`.
        on: Of which images.
        value: The score.
        rule: What it always says, such as `the most frequent class`.
        n: Images it is measured on.
    """

    series: str
    on: str
    value: float
    rule: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known of a training; a rule reads it and judges.

    None means *not collected*; `missing` then tells why, by the name of the field (for a series of
    steps, by its name: `gradient_norm`). An empty tuple means that it was looked for and not there.

    Attributes:
        points: All points, in the order in which they were measured.
        origin: Whence this is known.
        framework: Such as `torch 2.14.1`.
        name: Of the run, script or log.
        task: `classify`, `multilabel`, `count` or `regress`; None where it cannot be told.
        pretrained: Whether the weights were trained before; None where it cannot be told.
        layers: In the order of the model.
        batchnorms: Every one of them.
        objectives: Losses.
        outputs: Of the network, by part.
        targets: By part.
        inputs: By part.
        expected: What the backbone wants to see.
        feeding: By part.
        overlaps: Between parts.
        whole: Values of all images of the parts that lie in memory.
        optimizers: Those that took steps.
        comparisons: Of outputs with targets.
        one_batch: Result of the trial on one batch.
        series: Sampled by steps.
        histograms: After epochs.
        baselines: That ignore the image.
        best_chosen_on: The part by which the best epoch was chosen: `validation`, `test`, `train`.
        steps: Taken in all.
        epochs: Completed.
        planned_epochs: How many were meant.
        steps_per_epoch: As they were, or None.
        ended: `finished`, `cut` (by a limit of time), `failed`, `stopped early`; `` where unknown.
        error: The last line of what a failed script said.
        images: By part, how many there are.
        earlier: Other trainings that came before this one in the same script, such as that of a head
            alone; this one is the last.
        missing: Why something was not collected, by field or series.
    """

    points: tuple[Point, ...] = ()
    origin: Origin = "run"
    framework: str = ""
    name: str = ""
    task: Literal["classify", "multilabel", "count", "regress"] | None = None
    pretrained: bool | None = None
    layers: tuple[Layer, ...] | None = None
    batchnorms: tuple[BatchNorm, ...] | None = None
    objectives: tuple[Objective, ...] | None = None
    outputs: tuple[OutputFacts, ...] | None = None
    targets: tuple[TargetFacts, ...] | None = None
    inputs: tuple[InputFacts, ...] | None = None
    expected: Expected | None = None
    feeding: tuple[Feeding, ...] | None = None
    overlaps: tuple[Overlap, ...] | None = None
    whole: WholeSets | None = None
    optimizers: tuple[Optimizer, ...] | None = None
    comparisons: tuple[Comparison, ...] | None = None
    one_batch: OneBatch | None = None
    series: tuple[Series, ...] | None = None
    histograms: tuple[Histogram, ...] | None = None
    baselines: tuple[Baseline, ...] | None = None
    best_chosen_on: Literal["train", "validation", "test"] | None = None
    steps: int | None = None
    epochs: float | None = None
    planned_epochs: float | None = None
    steps_per_epoch: float | None = None
    ended: Literal["", "finished", "cut", "failed", "stopped early"] = ""
    error: str = ""
    images: dict[str, int] | None = None
    earlier: tuple["Signals", ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    def why_missing(self, name: str) -> str:
        """Return why a field or series was not collected, in words that follow *because*."""
        return self.missing.get(name, "it was not recorded")

    def series_of(self, name: str, *, layer: str = "") -> Series | None:
        """Return the sampled series of a name, of one layer or of the whole training."""
        found = (s for s in self.series or () if s.name == name and s.layer == layer)
        return next(found, None)

    def by_layer(self, name: str) -> dict[str, Series]:
        """Return the sampled series of a name for each layer that has it, in the model's order."""
        return {s.layer: s for s in self.series or () if s.name == name and s.layer}

    def curve(self, series: str, on: str, *, stage: str | None = None) -> tuple[Point, ...]:
        """Return the points of one curve, by epoch; of one stage, or of the last that has any."""
        chosen = [p for p in self.points if p.series == series and p.on == on]
        stages = [p.stage for p in chosen if p.stage != "features"] or [p.stage for p in chosen]
        wanted = stage if stage is not None else stages[-1] if stages else ""
        return tuple(sorted((p for p in chosen if p.stage == wanted), key=lambda p: p.epoch))


def signals_to_json(signals: Signals) -> dict[str, object]:
    """Return signals as plain JSON values; what was not collected is left out."""
    plain: dict[str, object] = _known(to_plain(signals))
    return plain


def _known(value: Any) -> Any:
    """Return a plain value without what is None in it; numbers that JSON cannot hold are None."""
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def signals_from_json(value: dict[str, object]) -> Signals:
    """Return the signals that `signals_to_json` made plain.

    Raises:
        RunError: If the value is not such a one.
    """
    return from_plain(Signals, value)
