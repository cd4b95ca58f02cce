"""Trials that fine-tune: each a run in a folder of its own, resumable, blind to the test part."""

import math
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.errors import RunError
from affinage.models.build import build_backbone
from affinage.records.question import Fidelity
from affinage.records.recipe import Recipe
from affinage.records.study import Job
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.store.study_folder import StudyFolder
from affinage.training.plan import make_plan
from affinage.workflows.study_child import Child
from affinage.workflows.study_data import Pool, blind_dataset, part_of_pool
from affinage.workflows.study_scores import image_scores

HANGS = 10.0
"""Times the mean of the pilot's trials, after which one counts as hanging, where nobody sets a limit."""

PATIENCE = 600.0
"""But never before so many seconds."""


class RunTrials:
    """Runs trials as trainings, on the data set's own train part, scored on its validation part.

    Args:
        study: Whose folder keeps the runs.
        pool: The images, without the test part.
        metric: What an image is scored by.
        fidelity: What cheaper tries have less of.
        seconds: A trial that takes longer is stopped; None = by what the pilot's took.
        memory: A trial that holds more bytes is stopped; None = nine tenths of what is free.
    """

    def __init__(
        self,
        study: StudyFolder,
        pool: Pool,
        *,
        metric: str,
        fidelity: Fidelity = "epochs",
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._study, self._pool, self._metric = study, pool, metric
        self._fidelity, self._seconds, self._memory = fidelity, seconds, memory
        self._child = Child()

    def close(self) -> None:
        """End the process that trains."""
        self._child.close()

    def run(
        self,
        job: Job,
        recipe: Recipe,
        *,
        images_per_class: int | None,
        share: float = 1.0,
        classes: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the score of each image of validation; go on with what a killed worker left.

        Args:
            job: Which trial: its key names the run's folder.
            recipe: Its settings.
            images_per_class: Not for trainings.
            classes: Not for trainings.
            share: Part of the whole cost, for a cheaper try; such a run has a folder of its own.

        Raises:
            AffinageError: If it cannot be trained so, hangs, or eats the memory.
        """
        if images_per_class is not None or classes is not None:
            raise RunError(
                "images_per_class and classes are for trials that fit heads on cached features.",
                remedy="Leave out settings of fine-tuning.",
            )
        name = job.key if share == 1 else f"{job.key}-{round(1 / share)}th"
        folder = RunFolder(self._study.runs / name)
        split = recipe.split.model_copy(update={"test": 0.0, "given": True})
        blind = self._cheaper(recipe, share).model_copy(update={"split": split, "goal": None})
        if not folder.finished:
            self._child.train(
                dataset=self._dataset(share).path,
                recipe=blind,
                output=folder.path,
                seconds=self._limit(),
                memory=self._memory,
            )
        table = folder.predictions()
        return image_scores(table.filter(pl.col("part") == "validation"), self._metric)

    def _dataset(self, share: float) -> DatasetFolder:
        if share == 1 or self._fidelity != "images":
            return blind_dataset(self._pool, self._study.path / "data")
        place: Path = self._study.path / f"data-{round(1 / share)}th"
        return blind_dataset(part_of_pool(self._pool, share), place)

    def _cheaper(self, recipe: Recipe, share: float) -> Recipe:
        """Return a recipe that costs a share: by its epochs, or by its image size."""
        if share == 1 or self._fidelity == "images":
            return recipe
        if self._fidelity == "epochs":
            steps = make_plan(recipe.finetune, len(self._pool.data.train)).steps
            fewer = {"steps": max(1, round(share * steps))}
            finetune = recipe.finetune.model_copy(update=fewer)
            return recipe.model_copy(update={"finetune": finetune})
        width, height = recipe.model.width, recipe.model.height
        if width is None or height is None:
            seen = build_backbone(recipe.model).preprocessing
            width, height = seen.width, seen.height
        side = math.sqrt(share)
        model = recipe.model.model_copy(
            update={"width": max(16, round(side * width)), "height": max(16, round(side * height))}
        )
        return recipe.model_copy(update={"model": model})

    def _limit(self) -> float | None:
        if self._seconds is not None:
            return self._seconds
        said = self._study.announced()
        return None if said is None else max(PATIENCE, HANGS * said.trial_seconds)
