"""The verb `layers`: what a recipe's network is made of, before an hour is spent on it."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from affinage.errors import RecipeError
from affinage.models.build import Backbone, build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups
from affinage.models.layer_table import layer_rows
from affinage.records.layers import LayerTable
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.store.run_folder import RunFolder
from affinage.training.losses import make_objective
from affinage.training.optimizer import build_optimizer
from affinage.workflows.recipes import resolve_recipe

CLASSES = 10


def layers(
    recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
    *,
    settings: Iterable[str] = (),
    classes: int | None = None,
) -> LayerTable:
    """Return the table of layers of a recipe's network, as fine-tuning treats them.

    No weights are fetched and no image is read; the network is built, and followed on paper.

    Args:
        recipe: A recipe, a YAML file, a run's folder, or nested settings.
        settings: `key=value`, laid over the recipe.
        classes: How many the head tells apart; those of the run where one is given, else 10.

    Raises:
        RecipeError: If the settings cannot be used.
        ModelError: If the network cannot be built.
    """
    run = _run_folder(recipe)
    if run is not None:
        recipe, classes = run.recipe(), classes or len(run.model_card().classes)
    resolved = resolve_recipe(recipe, settings)
    names = CLASSES if classes is None else classes
    if names < 1:
        raise RecipeError(f"{names} classes are none.", remedy="Give --classes of at least 1.")
    # Weights change no number of the table, and may not be here.
    bare = resolved.model.model_copy(update={"pretrained": False})
    backbone = build_backbone(bare)
    model = stack(
        backbone,
        classes=_outputs(resolved, names),
        preprocessing=_preprocessing(backbone, resolved),
    )
    return _table(resolved, model, classes=names)


def _table(recipe: Recipe, model: Classifier, *, classes: int) -> LayerTable:
    finetunes = "finetune" in recipe.stages
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze if finetunes else 0)
    found = recipe.optimizer.lr
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    settings = recipe.optimizer.model_copy(update={"lr": 1.0})
    optimizer = build_optimizer(model, groups, settings, layer_decay=recipe.finetune.layer_decay)
    rates = {
        names[id(weight)]: float(group["lr"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    weights = {name: weight.numel() for name, weight in model.named_parameters()}
    rows = layer_rows(
        model,
        groups,
        batchnorm=recipe.finetune.batchnorm,
        rates=rates if finetunes else {},
        lr=None if found == "auto" else found,
    )
    return LayerTable(
        backbone=recipe.model.backbone,
        width=model.preprocessing.width,
        height=model.preprocessing.height,
        classes=classes,
        weights=sum(weights.values()),
        trained_weights=sum(weights[name] for name in rates),
        multiply_adds=sum(row.multiply_adds for row in rows),
        groups=len(groups),
        trained_groups=sum(group.trained for group in groups),
        layers=rows,
    )


def _run_folder(recipe: object) -> RunFolder | None:
    if isinstance(recipe, (str, Path)) and Path(recipe).is_dir():
        return RunFolder(Path(recipe))
    return None


def _outputs(recipe: Recipe, classes: int) -> int:
    """Return how many numbers the objective asks of the head, where no target was seen yet."""
    label = recipe.task == "classify"
    targets = np.zeros(1, dtype=np.int64) if label else np.zeros((1, classes), dtype=np.float32)
    return make_objective(recipe, classes=classes, targets=targets).outputs


def _preprocessing(backbone: Backbone, recipe: Recipe) -> Preprocessing:
    """Return the backbone's own, with a whitening of the right size where one will be fitted."""
    side = {"pca": 1, "zca": recipe.model.whitening.patch}.get(recipe.model.normalise)
    if side is None:
        return backbone.preprocessing
    kernel = (((((0.0,) * side,) * side,) * 3),) * 3
    return dataclasses.replace(backbone.preprocessing, whitening=kernel)
