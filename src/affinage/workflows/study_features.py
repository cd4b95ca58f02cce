"""Features that the trials of a study share: of a backbone, or of visual words."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affinage.heads.bag_of_words import learn_words
from affinage.imaging.batches import read
from affinage.imaging.decode import decode
from affinage.imaging.resize import prepare
from affinage.inference.forward import compute_features
from affinage.models.build import Backbone, build_backbone, stack
from affinage.models.sift_words import SiftWords
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe
from affinage.workflows.embed import embed
from affinage.workflows.reporter import Reporter
from affinage.workflows.session import make_engine
from affinage.workflows.study_data import Pool


def shared_features(pool: Pool, recipe: Recipe, *, told: Reporter) -> NDArray[np.float32]:
    """Return the features of a study's images, shape (n, length), for all trials of one backbone.

    Visual words are learnt from all of these images: no label is seen by it.

    Raises:
        ModelError: If the backbone's weights cannot be had.
    """
    backbone = study_backbone(pool, recipe.model, seed=0)
    if not isinstance(backbone.module, SiftWords):
        return embed(
            list(pool.items), pool.dataset, backbone=recipe.model.backbone, told=told,
            size=(recipe.model.width, recipe.model.height),
        )  # fmt: skip
    model = stack(backbone, classes=2)
    engine = replace(make_engine(recipe), name="torch")
    return compute_features(
        model,
        pool.items,
        engine,
        progress=lambda done, total: told.phase("visual words", done, total),
    )


def study_backbone(pool: Pool, settings: ModelSettings, *, seed: int) -> Backbone:
    """Return a backbone that is ready to compute: of visual words, with its vocabulary."""
    backbone = build_backbone(settings)
    if isinstance(backbone.module, SiftWords):
        items, view = pool.items, backbone.preprocessing
        backbone.module.learn(
            learn_words(
                lambda number: prepare(decode(read(items[number])).pixels, view),
                len(items),
                words=settings.sift_words.words,
                seed=seed,
                threads=1,
            )
        )
    return backbone
