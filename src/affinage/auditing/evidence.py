"""Evidence: everything that a check may look at, gathered once for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.records.finding import Pair
from affinage.records.manifest import Manifest
from affinage.records.measures import MEASURES
from affinage.records.split import Split
from affinage.records.thumb import THUMB

__all__ = ["MEASURES", "THUMB", "Evidence", "gather"]


ALL_IMAGES = "all images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A data set as the checks see it.

    Arrays and `measures` have one row for each different kept image, sorted by image id; all are
    aligned with `images`.

    Attributes:
        manifest: Every row, the excluded and the failed too.
        ignored: Relative paths of the files that are no images, by reason.
        images: One row per different kept image: every column of the manifest, of its first row by
            (source, path).
        labels: Index of each image's label in `classes`, shape (n,).
        classes: Label names in the order of their indices.
        measures: Columns of `MEASURES`; None where no decode pass was made.
        thumbs: RGB of the whole frame squeezed to 32 × 32, shape (n, 32, 32, 3); None with `measures`.
        features: Of a frozen backbone, float32, shape (n, d); None where none were computed.
        near: Pairs of near-duplicates, the surest first; None where nobody looked for them.
        split: The parts, where a split was given or made.
        group: Column of sources, cameras, slides...; None where nobody named one.
        look: Returns the RGB pixels of an image by its id, shrunk to a longest side of at most `size`
            px; reads the file anew, so call it for few images.
        progress: Told of (name, done, total) by checks that take long.
    """

    manifest: Manifest
    images: pl.DataFrame
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    ignored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    measures: pl.DataFrame | None = None
    thumbs: NDArray[np.uint8] | None = None
    features: NDArray[np.float32] | None = None
    near: tuple[Pair, ...] | None = None
    split: Split | None = None
    group: str | None = None
    look: Callable[[str, int], NDArray[np.uint8]] | None = None
    progress: Callable[[str, int, int], None] = lambda name, done, total: None

    @property
    def ids(self) -> list[str]:
        """Image ids, in the order of every array."""
        return self.images["image"].to_list()

    @property
    def paths(self) -> list[str]:
        """Relative path of each image, for people."""
        return self.images["path"].to_list()


def gather(
    manifest: Manifest,
    *,
    ignored: Mapping[str, Sequence[str]] | None = None,
    split: Split | None = None,
    group: str | None = None,
) -> Evidence:
    """Return the evidence that a manifest alone gives; passes add theirs by `dataclasses.replace`.

    Images with counts or sets of labels instead of a label are of one class here.
    """
    classes = manifest.label_order or (ALL_IMAGES,)
    kept = manifest.kept
    if manifest.label_order:
        kept = kept.filter(pl.col("label").is_not_null())
    else:
        kept = kept.with_columns(label=pl.lit(ALL_IMAGES))
    rows = (
        kept.sort("source", "path").unique("image", keep="first", maintain_order=True).sort("image")
    )
    index = {label: number for number, label in enumerate(classes)}
    labels = np.array([index[label] for label in rows["label"].to_list()], dtype=np.int64)
    return Evidence(
        manifest=manifest,
        images=rows,
        labels=labels,
        classes=classes,
        ignored=ignored or {},
        split=split,
        group=group,
    )
