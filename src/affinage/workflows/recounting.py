"""Counts that follow each view of a training image, where its boxes are known."""

import numpy as np

from affinage.datasets.boxes.column import boxes_by_image
from affinage.errors import DataError, RecipeError
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.training.feeding import Targets
from affinage.training.recount import ViewCounts
from affinage.workflows.session import Part, TrainingData

SHOWN = 3


def training_targets(
    recipe: Recipe,
    data: TrainingData,
    part: Part,
    preprocessing: Preprocessing,
    *,
    own_transform: bool = False,
) -> Targets:
    """Return what a part is trained to predict: its counts, or with `count.recount` those of each view.

    Args:
        recipe: Settings.
        data: Whose manifest holds the boxes.
        part: Its images.
        preprocessing: Of the model: the size at which whole images are shown.
        own_transform: Whether the user's own transform changes images first.

    Raises:
        DataError: If there are no boxes, or they do not give the counts beside them.
        RecipeError: If nobody can know where a transform moves objects.
    """
    if not recipe.count.recount:
        return part.targets
    if own_transform:
        raise RecipeError(
            "count.recount=true cannot follow boxes through a transform of your own.",
            remedy="Leave one of them out.",
        )
    known = boxes_by_image(data.manifest, data.classes)
    chosen = [known[image] for image in part.images]
    counts = ViewCounts(
        counts=np.asarray(part.targets, dtype=np.float32),
        boxes=tuple(one.boxes for one in chosen),
        classes=tuple(one.classes for one in chosen),
        frames=tuple(one.frame for one in chosen),
        min_box=recipe.count.min_box,
    )
    _check_agreement(counts, data, part, preprocessing)
    return counts


def _check_agreement(
    counts: ViewCounts, data: TrainingData, part: Part, preprocessing: Preprocessing
) -> None:
    """Raise where boxes and counts tell different things: one of them would be learnt, the other judged."""
    differ = [
        f"{data.shown[image]} ({_told(data.classes, seen)} by its boxes, "
        f"{_told(data.classes, counts.counts[index])} by its counts)"
        for index, image in enumerate(part.images)
        if not np.array_equal(seen := counts.of_whole(index, preprocessing), counts.counts[index])
    ]
    if not differ:
        return
    size = f"{preprocessing.width}x{preprocessing.height}"
    small = f" --size {size} --min-box {counts.min_box:g}" if counts.min_box else ""
    raise DataError(
        f"The boxes of {len(differ):,} of {len(part):,} images do not give their counts at "
        f"{size} px, such as {'; '.join(differ[:SHOWN])}.",
        remedy=f"Make the table anew, and change boxes instead of counts: affinage counts "
        f"ANNOTATIONS --into TABLE{small}",
    )


def _told(names: tuple[str, ...], numbers: np.ndarray) -> str:
    return ", ".join(f"{number:g} {name}" for name, number in zip(names, numbers, strict=True))
