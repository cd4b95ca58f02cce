"""The images of a run that an export is proved on, measured on and calibrated with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from affinage.datasets.targets import for_task
from affinage.errors import RunError
from affinage.imaging.batches import Item
from affinage.records.split import Split
from affinage.workflows.evaluate import targets_by_image
from affinage.workflows.opened import items_of
from affinage.workflows.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportData:
    """Images and their truth.

    Attributes:
        split: Of the run.
        train: Images of the training part, by id.
        validation: Images of the validation part, by id.
        targets: Truth by image.
    """

    split: Split
    train: list[Item]
    validation: list[Item]
    targets: Mapping[str, NDArray[Any]]


def export_data(trained: Trained) -> ExportData:
    """Return the images of a run's training and validation parts.

    Raises:
        RunError: If the run has lost its manifest, or no image to prove an export on.
    """
    data = trained.folder.data()
    if data is None:
        raise RunError(
            f"The run '{trained.folder.name}' has lost its manifest: there is nothing to prove an export on.",
            remedy="Restore the run's folder from a copy, or train again.",
        )
    manifest, split = data
    usable = for_task(manifest, trained.work.task)
    targets, _ = targets_by_image(usable, trained.work.task, trained.card.classes)
    rows = usable.kept.unique("image", keep="first", maintain_order=True).sort("image")
    items = [item for item in items_of(usable, rows) if item.image in targets]
    found = ExportData(
        split=split,
        train=[item for item in items if item.image in split.train],
        validation=[item for item in items if item.image in split.validation],
        targets=targets,
    )
    if not found.train or not found.validation:
        raise RunError(
            f"The run '{trained.folder.name}' has no validation images to prove an export on.",
            remedy="Train again with a validation part, or with the images as the closed set.",
        )
    return found
