"""A run's model, loaded again with its labels and preprocessing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.inference.forward import Engine
from affinage.models.build import build_empty, stack
from affinage.models.classifier import Classifier
from affinage.models.parts import Parts, own_backbone, require_parts
from affinage.records.recipe import Recipe
from affinage.records.run import ModelCard
from affinage.records.task import task_named
from affinage.store.run_folder import RunFolder
from affinage.training.checkpoint import load_model, room_for_images
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


def load_trained(run: str | Path, parts: Parts | None = None) -> Trained:
    """Return the model of a run.

    Args:
        run: Its folder.
        parts: The user's own that it was made with; of these the network is needed again.

    Raises:
        RunError: If the folder is no run, has no model yet, is damaged, or needs a part that is not given.
    """
    folder = RunFolder(Path(run))
    card = folder.model_card()
    recipe = folder.recipe()
    engine = make_engine(recipe)
    own = folder.state().get("parts") or {}
    require_parts({kind: own[kind] for kind in own if kind == "model"}, parts, to="predict")
    outputs = card.outputs or len(card.classes)
    if parts is not None and parts.model is not None and "model" in own:
        backbone = own_backbone(parts.model, recipe.model)
        model = stack(backbone, preprocessing=card.preprocessing, classes=outputs)
    else:
        settings = recipe.model.model_copy(update={"backbone": card.backbone})
        model = build_empty(settings, card.preprocessing, classes=outputs)
    if recipe.features.head == "nearest":
        model.head = room_for_images(folder.model, features=model.head.in_features, classes=outputs)
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
