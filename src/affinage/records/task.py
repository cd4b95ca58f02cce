"""Task: what is predicted, and everything that follows from it."""

from dataclasses import dataclass
from typing import Literal

from affinage.errors import RecipeError

Target = Literal["label", "labels", "counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted; whatever depends on the task is asked of it.

    Attributes:
        name: As written in a recipe.
        summary: One sentence for `--help` and the docs.
        target: What a data set must carry: one label, a set of labels, or counts for each image.
        metrics: Names of its scores, the deciding one first.
        goals: Metrics that `--goal` accepts.
        baselines: Names of the baselines that stand beside every score.
        hits: Name of the curve of what was right: of images, of labels, of counts once rounded.
        judged: What weights are kept by in training unless the recipe names a score, in words.
        watched: Validation scores that training looks at, for `finetune.stop_on`.
        whole_frame: Whether objects at the border count: crops would change the target.
    """

    name: str
    summary: str
    target: Target
    metrics: tuple[str, ...]
    goals: tuple[str, ...]
    baselines: tuple[str, ...]
    hits: str
    watched: tuple[str, ...]
    judged: str = "the lowest validation loss"
    whole_frame: bool = False

    def kept_by(self, stop_on: str | None) -> str:
        """Return what the weights of a training are kept by, in words."""
        return self.judged if stop_on is None else f"the best validation {stop_on}"


CLASSIFY = Task(
    name="classify",
    summary="One label per image.",
    target="label",
    metrics=("accuracy", "balanced_accuracy", "macro_f1", "log_loss"),
    goals=("accuracy", "balanced_accuracy", "macro_f1"),
    baselines=("largest_class", "nearest_neighbour"),
    hits="accuracy",
    watched=("loss", "accuracy"),
    judged="the lowest validation loss at its best temperature",
)

MULTILABEL = Task(
    name="multilabel",
    summary="Any number of labels per image.",
    target="labels",
    metrics=("macro_f1", "micro_f1", "exact_match", "hamming_loss"),
    goals=("macro_f1", "micro_f1", "exact_match"),
    baselines=("prevalence", "commonest_set"),
    hits="label_accuracy",
    watched=("loss", "label_accuracy"),
)

COUNT = Task(
    name="count",
    summary="How many objects of each class an image shows.",
    target="counts",
    metrics=("mae", "rmse", "bias", "within_one", "exact"),
    goals=("within_one", "exact"),
    baselines=("mean", "median", "mode"),
    hits="exact",
    watched=("loss", "mae", "exact"),
    whole_frame=True,
)

TASKS: tuple[Task, ...] = (CLASSIFY, MULTILABEL, COUNT)


def task_named(name: str) -> Task:
    """Return the task of a name.

    Raises:
        RecipeError: If there is none.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise RecipeError(
        f"There is no task '{name}'.", remedy=f"Use {', '.join(task.name for task in TASKS)}."
    )
