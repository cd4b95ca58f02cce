"""What a training does that depends on its task: one object that the phases ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import polars as pl
from numpy.typing import NDArray

from affinage.heads.linear import LinearHead
from affinage.heads.nearest import NearestHead
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.prediction import Prediction
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.records.signals import Point
from affinage.records.task import Task
from affinage.training.feeding import Change
from affinage.training.losses import Objective
from affinage.training.stopping import Scores

FeatureHead = LinearHead | NearestHead
"""What is fitted on frozen features; of both, fine-tuning can start from a linear one."""

Outputs = NDArray[Any]
"""What a model gives: logits or other raw numbers, shape (n, outputs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Images that a head learns from.

    Attributes:
        features: Of the frozen backbone, shape (n, d).
        targets: As `TrainingData` has them.
        images: Ids.
        groups: Group of each image, where the recipe names a column.
        classes: Class names.
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    images: Sequence[str]
    groups: NDArray[Any] | None
    classes: tuple[str, ...]


class Folded(TypedDict):
    """How a head's penalty is judged: by images of the training part that are held out in turn."""

    folds: int
    seed: int
    ids: Sequence[str]
    groups: NDArray[Any] | None


def folded(recipe: Recipe, learnt: Learnt) -> Folded:
    """Return how penalties and costs are judged, the same for every head."""
    return Folded(
        folds=recipe.features.folds, seed=recipe.seed, ids=learnt.images, groups=learnt.groups
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """A head at its optimum, and what its penalty was chosen by.

    Attributes:
        head: The head.
        start: What fine-tuning starts from: the same head, or one with a stronger penalty; None where
            the head is no start.
        points: What cross-validation saw of each penalty, from the strongest to the weakest.
    """

    head: FeatureHead
    start: LinearHead | None
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Images to score a model on.

    Attributes:
        name: `validation`, `test`, or the name of another source.
        images: Ids.
        paths: Where they lie, for people.
        targets: Their truth.
        classes: Class names.
        train_targets: Of the training part, for the baselines; empty where there is none.
        nearest: Target of the nearest training image of each; None where not asked.
        memory_test: True where the model learnt from these very images.
    """

    name: str
    images: Sequence[str]
    paths: Sequence[str]
    targets: NDArray[Any]
    classes: tuple[str, ...]
    train_targets: NDArray[Any]
    nearest: NDArray[Any] | None = None
    memory_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a training is to learn, and on which images.

    Attributes:
        objective: What it makes small.
        own_loss: Whether the objective's loss is the user's own.
        transform: A change of the user's own to training images.
    """

    objective: Objective
    own_loss: bool = False
    transform: Change | None = None


class TaskWork(Protocol):
    """A task at work: how its heads are fitted, its models judged, its answers given."""

    @property
    def task(self) -> Task:
        """What is predicted."""

    @property
    def lesson(self) -> Lesson:
        """What a training is to learn."""

    def fit(self, learnt: Learnt) -> FittedHead:
        """Choose the penalty by cross-validation and fit the head."""

    def refit(self, learnt: Learnt, head: FeatureHead) -> FeatureHead:
        """Fit the chosen head again on more images."""

    def scores(self, outputs: Outputs, targets: NDArray[Any]) -> Scores:
        """Return what a curve shows, and what weights are kept by."""

    def choose(self, head: Outputs, finetuned: Outputs, targets: NDArray[Any]) -> tuple[bool, str]:
        """Return whether the fine-tuned model is the better one, and why, in a sentence."""

    def calibrate(self, outputs: Outputs, targets: NDArray[Any]) -> Calibration:
        """Return what validation says of how far outputs can be believed."""

    def score(
        self, measured: Measured, outputs: Outputs, calibration: Calibration
    ) -> AnyEvaluation:
        """Return the scores of a model's outputs."""

    def table(self, measured: Measured, outputs: Outputs, calibration: Calibration) -> pl.DataFrame:
        """Return predictions as a table: image, part, truth, what was predicted."""

    def answer(
        self, path: str, outputs: Outputs, calibration: Calibration, notes: tuple[str, ...]
    ) -> Prediction:
        """Return what the model says of one image, from its row of outputs."""
