"""The verb `predict`: what a trained model says of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affinage.datasets.sources import list_images
from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.resize import prepare
from affinage.inference.forward import logits_of_pixels
from affinage.models.parts import Parts
from affinage.records.prediction import Prediction
from affinage.workflows.reporter import Reporter, Silent
from affinage.workflows.trained import Trained, load_trained


def predict(
    run: str | Path,
    images: Sequence[str | Path] | str | Path,
    *,
    parts: Parts | None = None,
    reporter: Reporter | None = None,
) -> list[Prediction]:
    """Return what a run's model says of images.

    Args:
        run: The folder that `affinage train` wrote.
        images: Files or folders (searched with all below them), in the order of the answers.
        parts: The network of your own that the run was made with, where it was.
        reporter: Told of progress.

    Returns:
        One prediction per image; an unreadable one has no label but a reason.

    Raises:
        RunError: If the run has no model.
        DataError: If there is no image at all, or a file or folder is missing.
    """
    told = reporter or Silent()
    given = [images] if isinstance(images, (str, Path)) else list(images)
    trained = load_trained(run, parts)
    paths = list_images([Path(path) for path in given])
    answers: list[Prediction] = []
    size = trained.engine.batch_size
    for start in range(0, len(paths), size):
        answers.extend(_batch(trained, paths[start : start + size]))
        told.phase("predicting", len(answers), len(paths))
    return answers


def _batch(trained: Trained, paths: list[Path]) -> list[Prediction]:
    pixels: list[NDArray[np.uint8]] = []
    notes: dict[Path, tuple[str, ...]] = {}
    reasons: dict[Path, str] = {}
    for path in paths:
        try:
            decoded = decode(_bytes(path))
        except ImageError as error:
            reasons[path] = error.problem
            continue
        notes[path] = decoded.notes
        pixels.append(prepare(decoded.pixels, trained.card.preprocessing))
    work = trained.work
    rows = iter(_outputs(trained, pixels))
    return [
        Prediction(
            path=str(path), label=None, confidence=None, probabilities={}, reason=reasons[path]
        )
        if path in reasons
        else work.answer(str(path), next(rows), trained.card.calibration, notes[path])
        for path in paths
    ]


def _outputs(trained: Trained, pixels: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    if not pixels:
        return np.zeros((0, 0), dtype=np.float32)
    return logits_of_pixels(trained.model, np.stack(pixels), trained.engine)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"cannot be opened: {error.strerror}", remedy="Check the path and its permissions."
        ) from None
