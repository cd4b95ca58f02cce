"""Features of a frozen backbone for an audit, kept in the data set's cache."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.batches import Item
from affinage.inference.features import cache_facts, cached_features
from affinage.models.build import build_backbone, stack
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.engine import choose_engine
from affinage.workflows.reporter import Reporter
from affinage.workflows.session import make_engine


def embed(
    items: list[Item],
    dataset: DatasetFolder,
    *,
    backbone: str | None,
    told: Reporter,
    size: tuple[int | None, int | None] = (None, None),
) -> NDArray[np.float32]:
    """Return the features of the images, shape (n, length); a training takes them from the same cache.

    Args:
        items: The images.
        dataset: Whose cache keeps them.
        backbone: timm name; the recipe's default where None.
        told: Told of progress.
        size: Width and height of the input, px; None for the backbone's own.

    Raises:
        ModelError: If the backbone's weights cannot be had.
        ImageError: If an image is gone or has changed.
    """
    named = {} if backbone is None else {"backbone": backbone}
    settings = ModelSettings(**named, width=size[0], height=size[1])
    built, engine = build_backbone(settings), make_engine(Recipe())
    model = stack(built, classes=2).to(engine.device)
    choice = choose_engine(built, model, items, engine, dataset, labels=None, told=told.say)
    if choice.engine != "torch":
        told.say(f"features: {choice.sentence}")
    engine = replace(engine, name=choice.engine)
    facts = cache_facts(built, engine, versions={"timm": built.timm_version})
    return cached_features(
        model,
        items,
        engine,
        FeatureCache(dataset.features_cache, facts),
        progress=lambda done, total: told.phase("features of the frozen backbone", done, total),
    ).rows
