"""The images that a training looks at again and again, prepared once where they fit in memory."""

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.batches import prepared_batches
from affinage.inference.forward import Engine, compute_logits, logits_of_pixels
from affinage.models.classifier import Classifier
from affinage.workflows.session import Part

ROOM = 256 * 2**20
"""Bytes of prepared images that one training keeps; a part that does not fit is read at every look."""


class LookedAt:
    """Gives the logits of parts; the same, to the bit, whether their images are kept or read again.

    Args:
        room: Bytes that may be kept.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room, self._kept = room, dict[str, NDArray[np.uint8]]()

    def logits(self, model: Classifier, part: Part, engine: Engine) -> NDArray[np.float32]:
        """Return logits of a part's images, shape (n, outputs), in their order.

        Args:
            model: Its size of input must not change between two looks at a part.
            part: Known again by its name.
            engine: Where and in what batches.

        Raises:
            ImageError: If an image is gone, changed or cannot be read.
        """
        if part.name not in self._kept:
            height, width = model.preprocessing.height, model.preprocessing.width
            size = 3 * height * width * len(part.items)
            if not 0 < size <= self._room:
                return compute_logits(model, part.items, engine)
            self._room -= size
            self._kept[part.name] = np.concatenate(
                list(
                    prepared_batches(
                        part.items, model.preprocessing,
                        batch_size=engine.batch_size, threads=engine.threads,
                    )
                )
            )  # fmt: skip
        return logits_of_pixels(model, self._kept[part.name], engine)
