"""Signals: what a training showed while it ran."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured value of one series.

    Attributes:
        stage: `features` or `finetune`.
        series: Such as `loss`, `accuracy`, `learning_rate`.
        on: `train (running)` for the mean while training, in training mode; `train (evaluation mode)`
            for the same images measured as validation is; `validation`; `` where no images are meant.
        epoch: Position in epochs, 0 before the first step; for `features` the rank of the penalty tried.
        value: The value.
    """

    stage: str
    series: str
    on: str
    epoch: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """All points of a run, in the order in which they were measured."""

    points: tuple[Point, ...] = ()
