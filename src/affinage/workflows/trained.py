"""A run's model, loaded again with its labels and preprocessing."""

from dataclasses import dataclass
from pathlib import Path

from affinage.inference.forward import Engine
from affinage.models.build import build_empty
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.records.run import ModelCard
from affinage.store.run_folder import RunFolder
from affinage.training.checkpoint import load_model
from affinage.workflows.session import make_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model ready to predict."""

    folder: RunFolder
    recipe: Recipe
    card: ModelCard
    model: Classifier
    engine: Engine


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
    model = build_empty(settings, card.preprocessing, classes=len(card.classes))
    load_model(folder.model, model)
    model.to(engine.device).eval()
    return Trained(folder=folder, recipe=recipe, card=card, model=model, engine=engine)
