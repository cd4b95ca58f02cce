"""Images through a model in evaluation mode, in batches of one fixed size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.imaging.batches import Item, prepared_batches
from affinage.models.classifier import Classifier

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How forward passes are computed.

    Attributes:
        device: Where.
        threads: Threads that decode images ahead.
        batch_size: Images per pass. Short batches are filled up, so that the arithmetic, and with
            it every number, does not depend on which other images are asked for.
    """

    device: torch.device
    threads: int
    batch_size: int = 32

    @property
    def facts(self) -> dict[str, str]:
        """What of the engine determines the numbers."""
        return {
            "engine": "torch",
            "torch": torch.__version__,
            "precision": "fp32",
            "device": self.device.type,
            "batch_size": str(self.batch_size),
        }


def compute_features(
    model: Classifier, items: Sequence[Item], engine: Engine, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Return pooled features of the images, shape (n, features), in their order."""
    return _forward(model, model.features, items, engine, progress)


def compute_logits(
    model: Classifier, items: Sequence[Item], engine: Engine, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Return logits of the images, shape (n, classes), in their order."""
    return _forward(model, model.forward, items, engine, progress)


def logits_of_pixels(
    model: Classifier, pixels: NDArray[np.uint8], engine: Engine
) -> NDArray[np.float32]:
    """Return logits, shape (n, classes), of prepared images (n, height, width, 3)."""
    size = engine.batch_size
    batches = (pixels[start : start + size] for start in range(0, len(pixels), size))
    rows = _rows(model, model.forward, batches, engine)
    return np.concatenate(list(rows))


def features_of_pixels(
    model: Classifier, pixels: NDArray[np.uint8], engine: Engine
) -> NDArray[np.float32]:
    """Return pooled features, shape (n, features), of prepared images (n, height, width, 3)."""
    size = engine.batch_size
    batches = (pixels[start : start + size] for start in range(0, len(pixels), size))
    return np.concatenate(list(_rows(model, model.features, batches, engine)))


def _forward(
    model: Classifier,
    function: Callable[[Tensor], Tensor],
    items: Sequence[Item],
    engine: Engine,
    progress: Progress | None,
) -> NDArray[np.float32]:
    batches = prepared_batches(
        items, model.preprocessing, batch_size=engine.batch_size, threads=engine.threads
    )
    parts: list[NDArray[np.float32]] = []
    done = 0
    for rows in _rows(model, function, batches, engine):
        parts.append(rows)
        done += len(rows)
        if progress is not None:
            progress(done, len(items))
    if not parts:
        with torch.inference_mode():
            height, width = model.preprocessing.height, model.preprocessing.width
            blank = torch.zeros((1, height, width, 3), dtype=torch.uint8, device=engine.device)
            return function(blank)[:0].float().cpu().numpy()
    return np.concatenate(parts)


def _rows(
    model: Classifier,
    function: Callable[[Tensor], Tensor],
    batches: Iterable[NDArray[np.uint8]],
    engine: Engine,
) -> Iterator[NDArray[np.float32]]:
    model.eval()
    for batch in batches:
        short = engine.batch_size - len(batch)
        full = np.concatenate([batch, np.repeat(batch[:1], short, axis=0)]) if short else batch
        with torch.inference_mode():  # Here, not around the loop: the consumer runs between yields.
            output = function(torch.from_numpy(full).to(engine.device))
        yield output[: len(batch)].float().cpu().numpy()
