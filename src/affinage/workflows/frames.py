"""Whole frames: the input size of a task that must see all of an image."""

import dataclasses
import math

from affinage.models.build import Backbone, build_backbone
from affinage.records.manifest import Manifest
from affinage.records.task import Task
from affinage.workflows.session import Session

AREA = 2.0
"""Input pixels relative to the backbone's own: objects to be counted are small (an assumption)."""

STEP = 32
"""Sides are multiples of this: what most backbones shrink an image by."""


def fitted(session: Session, manifest: Manifest, backbone: Backbone, task: Task) -> Backbone:
    """Return the backbone with the preprocessing that the task needs.

    For counts that is the whole frame, squeezed to a rectangle of the images' usual shape with about
    twice the backbone's own number of pixels; the recipe's `model.width` and `model.height` win. The
    size is frozen into the run's recipe.
    """
    if not task.whole_frame:
        return backbone
    if session.recipe.model.width is None and session.recipe.model.height is None:
        own = backbone.preprocessing
        width, height = frame_size(manifest, area=AREA * own.width * own.height)
        session.resolve("model", width=width, height=height)
        backbone = build_backbone(session.recipe.model, seed=session.recipe.seed)
    whole = dataclasses.replace(backbone.preprocessing, whole=True)
    return dataclasses.replace(backbone, preprocessing=whole)


def frame_size(manifest: Manifest, *, area: float) -> tuple[int, int]:
    """Return width and height of an input of the images' median shape, no larger than they are.

    Args:
        manifest: Whose kept images are looked at.
        area: Pixels of the input, about.
    """
    kept = manifest.kept.select("width", "height").drop_nulls()
    shape = float((kept["width"] / kept["height"]).median())  # type: ignore[arg-type]
    widest = float(kept["width"].median())  # type: ignore[arg-type]
    tallest = float(kept["height"].median())  # type: ignore[arg-type]
    width = min(math.sqrt(area * shape), widest)
    height = min(math.sqrt(area / shape), tallest)
    return _whole_steps(width), _whole_steps(height)


def _whole_steps(side: float) -> int:
    return max(STEP, round(side / STEP) * STEP)
