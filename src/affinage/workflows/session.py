"""What all phases of one training share."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from affinage.datasets.targets import read_targets
from affinage.imaging.batches import Item
from affinage.inference.forward import Engine
from affinage.models.device import choose_device
from affinage.models.process import usable_cores
from affinage.records.engine import EngineChoice
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest
from affinage.records.recipe import Recipe
from affinage.records.run import Environment, StageResult
from affinage.records.signals import Point
from affinage.records.split import Split
from affinage.records.task import Task
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.mlflow_run import MlflowRun
from affinage.store.run_folder import RunFolder
from affinage.training.processes import ALONE, Processes
from affinage.workflows.clock import Clock
from affinage.workflows.places import place
from affinage.workflows.reporter import Reporter


@dataclass(slots=True, kw_only=True)
class Session:
    """One training at work: its places, its settings, its clock, and what it has found so far."""

    folder: RunFolder
    dataset: DatasetFolder
    recipe: Recipe
    clock: Clock
    reporter: Reporter
    engine: Engine
    environment: Environment
    findings: list[Finding] = field(default_factory=list)
    curves: SummaryWriter | None = None
    processes: Processes = ALONE
    mlflow: MlflowRun | None = None
    features_by: EngineChoice = field(default_factory=lambda: EngineChoice(engine="torch"))
    """What computes the features of the frozen backbone, once that is settled."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase, over all sittings of the run, and log its start."""
        self.folder.event("phase", name=name)
        before = self.folder.seconds().get(name, 0.0)
        with self.clock.phase(name):
            yield
        self.folder.keep_seconds(name, before + self.clock.seconds[name])

    def observe(self, point: Point) -> None:
        """Enter a point of a curve into the run's log, TensorBoard's, and MLflow's where asked for."""
        self.folder.observe(point)
        if self.mlflow is not None:
            self.mlflow.observe(point)
        if self.curves is None:
            self.curves = SummaryWriter(str(self.folder.tensorboard), write_to_disk=True)
        on = f"/{point.on}" if point.on else ""
        self.curves.add_scalar(
            f"{point.stage}/{point.series}{on}", point.value, round(point.epoch * 1000)
        )

    def close(self) -> None:
        """Finish the files that stay open during a training."""
        if self.curves is not None:
            self.curves.close()

    def keep_stage(self, result: StageResult) -> None:
        """Save what a stage did, in place of what it had said before."""
        stages = {stage.name: stage for stage in self.folder.stages()} | {result.name: result}
        self.folder.save_stages([stages[name] for name in self.recipe.stages if name in stages])

    def resolve(self, section: str, **settings: object) -> None:
        """Freeze choices that were made by timing into the run's recipe."""
        changed = getattr(self.recipe, section).model_copy(update=settings)
        self.recipe = self.recipe.model_copy(update={section: changed})
        self.folder.save_recipe(self.recipe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The images of one part of a split, in the order of their ids.

    Attributes:
        name: `train`, `validation` or `test`.
        items: Where each image lies.
        targets: Class index of each, shape (n,); or 0 and 1, or counts, shape (n, classes).
        groups: Group of each where the recipe names a column, else None.
    """

    name: str
    items: tuple[Item, ...]
    targets: NDArray[Any]
    groups: NDArray[np.str_] | None = None

    @property
    def images(self) -> list[str]:
        """Ids, in order."""
        return [item.image for item in self.items]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Everything about the images that the stages need."""

    manifest: Manifest
    split: Split
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    shown: dict[str, str]
    """Relative path by image id, for people."""

    @property
    def both(self) -> Part:
        """Train and validation together."""
        items = (*self.train.items, *self.validation.items)
        targets = np.concatenate([self.train.targets, self.validation.targets])
        place = {item.image: index for index, item in enumerate(items)}
        order = [place[image] for image in sorted(place)]
        return Part(
            name="train + validation",
            items=tuple(items[index] for index in order),
            targets=targets[order],
        )


def training_data(
    manifest: Manifest, split: Split, task: Task, *, group: str | None = None
) -> TrainingData:
    """Return the parts of a split with the place and the target of each image."""
    found = read_targets(manifest, task)
    target = {image: index for index, image in enumerate(found.images)}
    rows = manifest.kept.sort("source", "path").unique("image", keep="first", maintain_order=True)
    values = _group_values(rows, group) if group else [""] * rows.height
    columns = rows.select("image", "source", "path").iter_rows()
    by_image = {row[0]: (*row, value) for row, value in zip(columns, values, strict=True)}

    def part(name: str) -> Part:
        chosen = [by_image[image] for image in sorted(getattr(split, name)) if image in by_image]
        return Part(
            name=name,
            items=tuple(Item(image=row[0], path=place(manifest, row[1], row[2])) for row in chosen),
            targets=found.values[[target[row[0]] for row in chosen]],
            groups=np.array([row[3] for row in chosen]) if group else None,
        )

    return TrainingData(
        manifest=manifest,
        split=split,
        classes=found.names,
        train=part("train"),
        validation=part("validation"),
        test=part("test"),
        shown={image: row[2] for image, row in by_image.items()},
    )


def _group_values(rows: pl.DataFrame, group: str) -> list[str]:
    """Return the group of each image; one without a group is a group of its own."""
    name = next(name for name in rows.columns if name.lower() == group.lower())
    return [
        str(value) if value not in (None, "") else f"\0{image}"
        for image, value in zip(rows["image"], rows[name], strict=True)
    ]


def make_engine(recipe: Recipe, *, threads: int | None = None) -> Engine:
    """Return how forward passes of this recipe are computed.

    Args:
        recipe: Settings.
        threads: Of the run so far; None: as many as the recipe says, or as there are cores.

    Raises:
        ModelError: If the recipe's device is not there.
    """
    device, _ = choose_device(recipe.compute.device)
    threads = threads or recipe.compute.threads or usable_cores()
    asked = recipe.compute.engine
    return Engine(
        device=device,
        threads=threads,
        batch_size=recipe.compute.batch_size,
        name="torch" if asked == "auto" else asked,
    )
