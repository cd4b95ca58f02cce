"""The images of a study: train and validation of the data set's own cut, never its test part."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.evidence import gather
from affinage.auditing.groups import suggested_group
from affinage.datasets.split import make_split, split_name
from affinage.datasets.targets import for_task
from affinage.errors import DataError, RecipeError
from affinage.imaging.batches import Item
from affinage.models.process import usable_cores
from affinage.records.manifest import Manifest
from affinage.records.question import Question
from affinage.records.recipe import Recipe
from affinage.records.task import task_named
from affinage.store.dataset_folder import DatasetFolder
from affinage.studies.asking import CLASSES, IMAGES_PER_CLASS
from affinage.workflows.opened import open_data
from affinage.workflows.reporter import Reporter
from affinage.workflows.session import TrainingData, training_data
from affinage.workflows.split import near_groups
from affinage.workflows.train_data import within

FEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What trials may see.

    Attributes:
        dataset: The data set's folder, for its caches.
        data: Parts; `test` is empty.
        items: Images of train and validation, by id.
        targets: Of each, as a training has them.
        together: Name of each image's group: images of one group are held out together.
    """

    dataset: DatasetFolder
    data: TrainingData
    items: tuple[Item, ...]
    targets: NDArray[Any]
    together: NDArray[np.str_]

    @property
    def images(self) -> list[str]:
        """Ids, in order."""
        return [item.image for item in self.items]


def open_pool(question: Question, recipe: Recipe, *, reporter: Reporter) -> Pool:
    """Return the images that a study's trials learn from and are scored on.

    Raises:
        DataError: If the source cannot be used, or too few images are left.
    """
    task = task_named(recipe.task)
    opened = open_data(
        [Path(source) for source in question.sources],
        Path(question.data) if question.data else None,
        reporter=reporter,
        threads=usable_cores(),
        beside=Path(),
        counts=recipe.count.columns,
    )
    manifest, dataset = for_task(opened.manifest, task), opened.dataset
    for hint in suggested_group(gather(manifest, group=recipe.split.group)):
        asked = hint.remedy.replace("--group ", "--set split.group=")
        reporter.say(f"{hint.subject} {asked}")
    name, near = split_name(recipe.split, recut=not recipe.split.given), near_groups(dataset)
    earlier = dataset.load_split(name)
    split, _ = make_split(
        manifest, recipe.split, earlier=earlier, together=near, recut=not recipe.split.given
    )
    dataset.save_split(name, split.remembering(earlier))
    blind = dataclasses.replace(split, test=frozenset())
    data = training_data(manifest, blind, task, group=recipe.split.group)
    if question.images is not None and question.images < len(data.both):
        data = within(data, question.images / len(data.both), task)
    both = data.both
    if len(both) < FEWEST:
        raise DataError(
            f"A study needs at least {FEWEST} images besides the test part, not {len(both)}.",
            remedy="Give more images.",
        )
    return Pool(
        dataset=dataset,
        data=data,
        items=both.items,
        targets=both.targets,
        together=_together(data, both.images, near),
    )


def check_amounts(question: Question, pool: Pool) -> None:
    """Refuse to compare what these images do not have: more classes, or more images of each.

    Raises:
        RecipeError: With what there is at most.
    """
    if pool.targets.ndim != 1:
        return
    every = len(pool.data.classes)
    largest = int(np.bincount(pool.targets, minlength=1).max())
    most = largest * (question.folds - 1) // question.folds
    for key, value in (one for arm in question.arms for one in arm.settings):
        if key == CLASSES and int(value) > every:  # type: ignore[arg-type]
            raise RecipeError(
                f"classes is {value}; there are {every}.",
                remedy=f"Vary classes from 2 to {every}.",
            )
        if key == IMAGES_PER_CLASS and int(value) > most:  # type: ignore[arg-type]
            raise RecipeError(
                f"images_per_class is {value}; a head learns from {most} of the largest class at most: "
                f"it has {largest} besides the test part, and one in {question.folds} is held out in turn.",
                remedy=f"Vary images_per_class up to {most}.",
            )


def _together(data: TrainingData, images: list[str], near: dict[str, str]) -> NDArray[np.str_]:
    """Return the group of each image: its value of the group column, or its near-duplicates."""
    named: dict[str, str] = {}
    for part in (data.train, data.validation):
        if part.groups is not None:
            named |= dict(zip(part.images, (str(group) for group in part.groups), strict=True))
    return np.array([named.get(image, near.get(image, f"\1{image}")) for image in images])


def labels_of(pool: Pool) -> tuple[str, ...]:
    """Return the class of each image by name, in the order of ids; empty for other tasks."""
    if pool.targets.ndim != 1:
        return ()
    return tuple(pool.data.classes[index] for index in pool.targets)


def part_of_pool(pool: Pool, share: float) -> Pool:
    """Return the pool with a share of its images to learn from; all of validation stays."""
    data = dataclasses.replace(
        pool.data,
        train=within(pool.data, share, task_named("classify")).train
        if pool.targets.ndim == 1
        else within(pool.data, share, task_named("count")).train,
    )
    return dataclasses.replace(pool, data=data)


def blind_dataset(pool: Pool, folder: Path) -> DatasetFolder:
    """Return a data set's folder without the test part, its parts given, for trials that fine-tune."""
    dataset = DatasetFolder(folder)
    if dataset.exists:
        return dataset
    part_of = {
        image: part.name
        for part in (pool.data.train, pool.data.validation)
        for image in part.images
    }
    manifest = pool.data.manifest
    table = manifest.table.filter(pl.col("image").is_in(list(part_of))).with_columns(
        pl.col("image").replace_strict(part_of, return_dtype=pl.String).alias("part")
    )
    dataset.save_manifest(
        Manifest(table=table, sources=manifest.sources, label_order=manifest.label_order)
    )
    return dataset
