"""Trials that fine-tune: each a run in a folder of its own, resumable, blind to the test part."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.errors import RunError
from affinage.records.recipe import Recipe
from affinage.records.study import Job
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.store.study_folder import StudyFolder
from affinage.workflows.reporter import Silent
from affinage.workflows.study_scores import image_scores
from affinage.workflows.train import train


class RunTrials:
    """Runs trials as trainings, on the data set's own train part, scored on its validation part.

    Args:
        study: Whose folder keeps the runs.
        dataset: The study's images, without the test part.
        metric: What an image is scored by.
    """

    def __init__(self, study: StudyFolder, dataset: DatasetFolder, *, metric: str) -> None:
        self._study, self._dataset, self._metric = study, dataset, metric

    def run(self, job: Job, recipe: Recipe, *, images_per_class: int | None) -> NDArray[np.float64]:
        """Return the score of each image of validation; go on with what a killed worker left.

        Raises:
            AffinageError: If it cannot be trained so.
        """
        if images_per_class is not None:
            raise RunError(
                "images_per_class is for trials that fit heads on cached features.",
                remedy="Leave out settings of fine-tuning.",
            )
        folder = RunFolder(self._study.runs / job.key)
        blind = recipe.model_copy(
            update={
                "split": recipe.split.model_copy(update={"test": 0.0, "given": True}),
                "goal": None,
            }
        )
        if not folder.finished:
            if folder.path.exists():
                train(resume=folder.path, reporter=Silent())
            else:
                train(self._dataset.path, recipe=blind, output=folder.path, reporter=Silent())
        table = folder.predictions()
        return image_scores(table.filter(pl.col("part") == "validation"), self._metric)
