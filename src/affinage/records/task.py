"""Task: what is predicted, and everything that follows from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted; whatever depends on the task is asked of it.

    Attributes:
        name: As written in a recipe.
        summary: One sentence for `--help` and the docs.
        metrics: Names of its scores, the deciding one first.
        goals: Metrics that `--goal` accepts.
        baselines: Names of the baselines that stand beside every score.
    """

    name: str
    summary: str
    metrics: tuple[str, ...]
    goals: tuple[str, ...]
    baselines: tuple[str, ...]


CLASSIFY = Task(
    name="classify",
    summary="One label per image.",
    metrics=("accuracy", "balanced_accuracy", "macro_f1", "log_loss"),
    goals=("accuracy", "balanced_accuracy", "macro_f1"),
    baselines=("largest_class", "nearest_neighbour"),
)

TASKS: tuple[Task, ...] = (CLASSIFY,)
