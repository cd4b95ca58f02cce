"""Seen: images as a deployed model saw them, in numbers; what drift is judged by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.errors import DataError

LOOKS = (
    "brightness", "contrast", "dark", "bright", "sharpness", "colour", "entropy", "focus", "flat",
    "palette",
)  # fmt: skip
"""The measures of an image that drift is judged by, of those in `records.bundle.MEASURES`. Not among them are
the sides and the size of the file: whoever sends images may shrink or save them anew without harm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Images in numbers: how they look, what the network makes of them, and what it says.

    Attributes:
        images: Ids, n of them.
        looks: Measures, shape (n, len(LOOKS)), in the order of `LOOKS`; None where they are not known.
        features: Of the network, shape (n, d); None where they are not known.
        probabilities: What the model says: a number for each label, shape (n, labels); None where it is not
            known.
        exclusive: Whether an image has one label, so that the largest number is the answer.

    Raises:
        DataError: If the lengths disagree or a number is not finite.
    """

    images: tuple[str, ...]
    looks: NDArray[np.float64] | None = None
    features: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float64] | None = None
    exclusive: bool = True

    def __post_init__(self) -> None:
        for name in ("looks", "features", "probabilities"):
            rows = getattr(self, name)
            if rows is None:
                continue
            if rows.ndim != 2 or len(rows) != len(self.images) or not np.isfinite(rows).all():
                raise DataError(
                    f"The {name} of {len(self.images)} images are a table of finite numbers with a row"
                    f" for each; this one has shape {rows.shape}.",
                    remedy="Leave out the images whose numbers are not known.",
                )

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: NDArray[np.intp]) -> "Seen":
        """Return some of the images, by their row numbers."""
        taken = {
            name: None if (table := getattr(self, name)) is None else table[chosen]
            for name in ("looks", "features", "probabilities")
        }
        images = tuple(self.images[row] for row in chosen.tolist())
        return Seen(images=images, exclusive=self.exclusive, **taken)
