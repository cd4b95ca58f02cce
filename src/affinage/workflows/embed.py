"""Features of a frozen backbone for an audit, kept in the data set's cache."""

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.batches import Item
from affinage.inference.features import cache_facts, cached_features
from affinage.models.build import build_backbone, stack
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.reporter import Reporter
from affinage.workflows.session import make_engine


def embed(
    items: list[Item], dataset: DatasetFolder, *, backbone: str | None, told: Reporter
) -> NDArray[np.float32]:
    """Return the features of the images, shape (n, length); a training takes them from the same cache.

    Args:
        items: The images.
        dataset: Whose cache keeps them.
        backbone: timm name; the recipe's default where None.
        told: Told of progress.

    Raises:
        ModelError: If the backbone's weights cannot be had.
        ImageError: If an image is gone or has changed.
    """
    settings = ModelSettings() if backbone is None else ModelSettings(backbone=backbone)
    built, engine = build_backbone(settings), make_engine(Recipe())
    facts = cache_facts(built, engine, versions={"timm": built.timm_version})
    return cached_features(
        stack(built, classes=2).to(engine.device),
        items,
        engine,
        FeatureCache(dataset.features_cache, facts),
        progress=lambda done, total: told.phase("features of the frozen backbone", done, total),
    ).rows
