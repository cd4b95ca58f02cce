"""Images through a model in evaluation mode, in batches of one fixed size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.imaging.batches import Item, prepared_batches
from affinage.inference.engines import engine_pass, maker_of
from affinage.inference.pass_through import Frozen, Pass
from affinage.models.classifier import Classifier
from affinage.records.engine import EngineName

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How forward passes are computed.

    Attributes:
        device: Where.
        threads: Threads that decode images ahead.
        batch_size: Images per pass. Short batches are filled up, so that the arithmetic, and with
            it every number, does not depend on which other images are asked for.
        name: What computes the features of a frozen backbone. Logits of a model that is trained are
            always computed in PyTorch and fp32.
    """

    device: torch.device
    threads: int
    batch_size: int = 32
    name: EngineName = "torch"

    @property
    def facts(self) -> dict[str, str]:
        """What of the engine determines the numbers."""
        maker = maker_of(self.name)
        own = {} if self.name == "torch" else {"engine_version": maker.version()}
        return {
            "engine": self.name.removesuffix("-bf16"),
            "torch": torch.__version__,
            "precision": maker.precision,
            "device": self.device.type,
            "batch_size": str(self.batch_size),
            **own,
        }

    @property
    def exact(self) -> "Engine":
        """The same in PyTorch and fp32: what stages are compared in."""
        return replace(self, name="torch")

    def frozen(self, model: Classifier) -> Frozen:
        """Return a frozen backbone as engines take it."""
        return Frozen(
            model=model, device=self.device, batch_size=self.batch_size, threads=self.threads
        )


def compute_features(
    model: Classifier, items: Sequence[Item], engine: Engine, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Return pooled features of the images, shape (n, features), in their order."""
    if engine.name == "torch":
        return _forward(model, _torch(model, model.features, engine), items, engine, progress)
    return _forward(model, engine_pass(engine.name, engine.frozen(model)), items, engine, progress)


def compute_logits(
    model: Classifier, items: Sequence[Item], engine: Engine, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Return logits of the images, shape (n, classes), in their order."""
    return _forward(model, _torch(model, model.forward, engine), items, engine, progress)


def logits_of_pixels(
    model: Classifier, pixels: NDArray[np.uint8], engine: Engine
) -> NDArray[np.float32]:
    """Return logits, shape (n, classes), of prepared images (n, height, width, 3)."""
    size = engine.batch_size
    batches = (pixels[start : start + size] for start in range(0, len(pixels), size))
    rows = _rows(_torch(model, model.forward, engine), batches, engine)
    return np.concatenate(list(rows))


def features_of_pixels(
    model: Classifier, pixels: NDArray[np.uint8], engine: Engine
) -> NDArray[np.float32]:
    """Return pooled features, shape (n, features), of prepared images (n, height, width, 3)."""
    size = engine.batch_size
    batches = (pixels[start : start + size] for start in range(0, len(pixels), size))
    return np.concatenate(list(_rows(_torch(model, model.features, engine), batches, engine)))


def _forward(
    model: Classifier,
    function: Pass,
    items: Sequence[Item],
    engine: Engine,
    progress: Progress | None,
) -> NDArray[np.float32]:
    batches = prepared_batches(
        items, model.preprocessing, batch_size=engine.batch_size, threads=engine.threads
    )
    parts: list[NDArray[np.float32]] = []
    done = 0
    for rows in _rows(function, batches, engine):
        parts.append(rows)
        done += len(rows)
        if progress is not None:
            progress(done, len(items))
    if not parts:
        height, width = model.preprocessing.height, model.preprocessing.width
        blank = np.zeros((1, height, width, 3), dtype=np.uint8)
        return next(_rows(function, iter([blank]), engine))[:0]
    return np.concatenate(parts)


def _torch(model: Classifier, function: Callable[[Tensor], Tensor], engine: Engine) -> Pass:
    """Return a method of a model as a pass."""

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        model.eval()
        with torch.inference_mode():  # Here, not around the loop: the consumer runs between yields.
            output = function(torch.from_numpy(pixels).to(engine.device))
        rows: NDArray[np.float32] = output.float().cpu().numpy()
        return rows

    return run


def _rows(
    function: Pass, batches: Iterable[NDArray[np.uint8]], engine: Engine
) -> Iterator[NDArray[np.float32]]:
    for batch in batches:
        yield function(filled(batch, engine.batch_size))[: len(batch)]


def filled(batch: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a batch filled up to its full size with its first image."""
    short = size - len(batch)
    return np.concatenate([batch, np.repeat(batch[:1], short, axis=0)]) if short else batch
