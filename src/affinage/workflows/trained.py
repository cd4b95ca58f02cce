"""A run's model, loaded again with its labels and preprocessing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.inference.forward import Engine
from affinage.models.build import build_empty
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.records.run import ModelCard
from affinage.records.task import task_named
from affinage.store.run_folder import RunFolder
from affinage.training.checkpoint import load_model
from affinage.workflows.session import make_engine
from affinage.workflows.tasks import work_of
from affinage.workflows.work import TaskWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model ready to predict."""

    folder: RunFolder
    recipe: Recipe
    card: ModelCard
    model: Classifier
    engine: Engine
    work: TaskWork


def load_trained(run: str | Path) -> Trained:
    """Return the model of a run.

    Raises:
        RunError: If the folder is no run, has no model yet, or is damaged.
    """
    folder = RunFolder(Path(run))
    card = folder.model_card()
    recipe = folder.recipe()
    engine = make_engine(recipe)
    settings = recipe.model.model_copy(update={"backbone": card.backbone})
    model = build_empty(settings, card.preprocessing, classes=card.outputs or len(card.classes))
    load_model(folder.model, model)
    model.to(engine.device).eval()
    return Trained(
        folder=folder,
        recipe=recipe,
        card=card,
        model=model,
        engine=engine,
        work=work_of(recipe, card.classes, _as_learnt(card)),
    )


def _as_learnt(card: ModelCard) -> NDArray[Any]:
    """Return targets that say of the training part what reading outputs asks: the largest counts."""
    if task_named(card.task).target == "label":
        return np.zeros(1, dtype=np.int64)
    largest = card.calibration.largest or (0.0,) * len(card.classes)
    return np.array([largest], dtype=np.float32)
