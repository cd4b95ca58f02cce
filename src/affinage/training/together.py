"""One process leads a run, the others lend a hand: they wait, train what they are handed, and wait again."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from affinage.imaging.batches import Item
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.training.feeding import Change
from affinage.training.finetune import Finetuned, Observed, finetune
from affinage.training.losses import make_objective
from affinage.training.plan import Plan
from affinage.training.processes import Processes, agreed
from affinage.training.recount import ViewCounts
from affinage.training.stopping import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training as it is handed to every process.

    Attributes:
        model: With the weights that it starts from.
        items: Training images; every process must reach them under the same paths.
        targets: Of each, as the objective takes them.
        classes: How many classes or labels there are.
        recipe: Settings, with nothing left at `auto`.
        plan: How many steps.
        folder: Of the checkpoints; every process must reach it.
        threads: That decode and augment ahead, in each process.
        phase: Name of the checkpoints and curves.
        cuts: Of an earlier training's plateaus.
        transform: A change of the user's own to training images; a function that can be imported.
        decoded: Folder where decoded images are kept; each process keeps those that it reads.
    """

    model: Classifier
    items: Sequence[Item]
    targets: NDArray[Any] | ViewCounts
    classes: int
    recipe: Recipe
    plan: Plan
    folder: Path
    threads: int
    phase: str = "finetune"
    cuts: Sequence[tuple[float, float]] = ()
    transform: Change | None = None
    decoded: Path | None = None


def train_together(
    job: Job, observed: Observed, *, device: torch.device, processes: Processes
) -> Finetuned:
    """Train the job's model in place, in all processes; called by the one that leads.

    Args:
        job: What is trained.
        observed: Who watches; evaluation is done by this process while the others wait.
        device: Where this process computes; the others use the same kind.
        processes: Of this group, with rank 0; alone, this is `finetune`.

    Raises:
        AffinageError: As `finetune`.
    """
    looks = (observed.evaluate is not None, observed.evaluate_train is not None)
    agreed((job, looks, device.type), processes)
    return _train(job, observed, device, processes)


@contextlib.contextmanager
def leading(processes: Processes) -> Iterator[None]:
    """Let the others go at the end of the work.

    After an error they are not told: they may be in the middle of a step, and they see the connection end.
    """
    yield
    agreed(None, processes)


def lend_a_hand(processes: Processes) -> int:
    """Train what rank 0 hands over until it lets this process go or ends; return how many trainings.

    Args:
        processes: Of this group, with a rank above 0.
    """
    done = 0
    while True:
        try:
            handed: Any = agreed(None, processes)
        except RuntimeError:  # Rank 0 is gone, and has said why.
            return done
        if handed is None:
            return done
        job, (validation, train), kind = handed
        device = torch.device(kind, processes.local) if kind == "cuda" else torch.device(kind)
        job.model.to(device)
        observed = Observed(
            evaluate=_scores_of_rank_0 if validation else None,
            evaluate_train=_scores_of_rank_0 if train else None,
            observe=lambda point: None,
            progress=lambda steps, total: None,
            out_of_time=lambda: False,
        )
        _train(job, observed, device, processes)
        done += 1


def _scores_of_rank_0(_: Classifier) -> Scores:
    return Scores(judged=0.0)  # Replaced by what rank 0 measured, in every process.


def _train(job: Job, observed: Observed, device: torch.device, processes: Processes) -> Finetuned:
    whole = job.targets.counts if isinstance(job.targets, ViewCounts) else job.targets
    return finetune(
        job.model,
        job.items,
        job.targets,
        objective=make_objective(job.recipe, classes=job.classes, targets=whole),
        recipe=job.recipe,
        plan=job.plan,
        observed=observed,
        folder=job.folder,
        device=device,
        threads=job.threads,
        phase=job.phase,
        processes=processes,
        cuts=job.cuts,
        transform=job.transform,
        decoded=job.decoded,
    )
