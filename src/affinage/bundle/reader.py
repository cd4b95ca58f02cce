"""An opened bundle: images in, answers out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affinage.bundle.answers import answer, unanswered
from affinage.bundle.machine import cores
from affinage.bundle.passes import Pass, Rows, open_pass
from affinage.bundle.pixels import decode
from affinage.errors import DataError, ImageError
from affinage.imaging.resize import prepare
from affinage.records.bundle import Bundle
from affinage.records.prediction import Prediction
from affinage.store.bundle import BundleFolder

Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A file, its bytes, Pillow's image, or RGB pixels (height, width, 3)."""

BATCH = 16


class BundleReader:
    """A bundle, ready to predict.

    Args:
        folder: Where it lies.
        record: What is known of it.
        run: What computes its model.

    Attributes:
        record: Labels, preprocessing, origin, proof.
    """

    def __init__(self, folder: BundleFolder, record: Bundle, run: Pass) -> None:
        self.folder, self.record, self._run = folder, record, run

    @property
    def labels(self) -> tuple[str, ...]:
        """Names in the order of the outputs."""
        return self.record.reading.labels

    def predict(self, image: Picture) -> Prediction:
        """Return what the model says of one image.

        Args:
            image: A file, its bytes, a Pillow image, or RGB pixels (height, width, 3).

        Raises:
            ImageError: If it cannot be read.
        """
        row = self.compute(self.view(self.pixels(image))[None])["outputs"][0]
        return answer(self.record.reading, row, path=_name(image))

    def predict_all(self, images: Sequence[Picture]) -> list[Prediction]:
        """Return what the model says of each image; of one that cannot be read, why."""
        return list(self._each(images))

    def pixels(self, image: Picture) -> NDArray[np.uint8]:
        """Return RGB pixels, shape (height, width, 3), as training reads them.

        Raises:
            ImageError: If it cannot be read.
        """
        return pixels_of(image)

    def view(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what the model sees of a frame, uint8, shape (height, width, 3) of its input."""
        return prepare(pixels, self.record.preprocessing)

    def compute(self, views: NDArray[np.uint8]) -> Rows:
        """Return `features` (n, length) and `outputs` (n, labels) of views, shape (n, height, width, 3).

        Where the bundle's shape is fixed, views go through it that many at a time.
        """
        fixed = self.record.batch
        if fixed is None or len(views) == fixed:
            return self._run(views, prepared=True)
        chunks = [
            self._filled(views[start : start + fixed], fixed)
            for start in range(0, len(views), fixed)
        ]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def frame(self, pixels: NDArray[np.uint8]) -> Rows:
        """Return `features` and `outputs` of frames of one size, (n, height, width, 3), resized by the model.

        Raises:
            DataError: If this bundle's model does not resize by itself.
        """
        if not self.record.any_size:
            raise DataError(
                "This bundle's model takes views of its own size.", remedy="Use view, then compute."
            )
        return self._run(pixels, prepared=False)

    def answer(self, row: NDArray[np.floating], *, path: str = "") -> Prediction:
        """Return what a row of `outputs` says."""
        return answer(self.record.reading, row, path=path)

    def _each(self, images: Sequence[Picture]) -> Iterator[Prediction]:
        for start in range(0, len(images), BATCH):
            yield from self._some(images[start : start + BATCH])

    def _some(self, images: Sequence[Picture]) -> Iterator[Prediction]:
        views: dict[int, NDArray[np.uint8]] = {}
        reasons: dict[int, str] = {}
        for number, image in enumerate(images):
            try:
                views[number] = self.view(self.pixels(image))
            except ImageError as error:
                reasons[number] = error.problem
        rows = (
            self.compute(np.stack(list(views.values())))["outputs"] if views else np.zeros((0, 0))
        )
        found = dict(zip(views, rows, strict=True))
        for number, image in enumerate(images):
            if number in found:
                yield answer(self.record.reading, found[number], path=_name(image))
            else:
                yield unanswered(_name(image), reasons[number])

    def _filled(self, views: NDArray[np.uint8], size: int) -> Rows:
        short = size - len(views)
        whole = np.concatenate([views, np.repeat(views[:1], short, axis=0)]) if short else views
        rows = self._run(whole, prepared=True)
        return {name: values[: len(views)] for name, values in rows.items()}


def open_bundle(
    path: str | Path, *, threads: int | None = None, verify: bool = True
) -> BundleReader:
    """Return a bundle that is ready to predict.

    Args:
        path: The folder that `affinage export` wrote.
        threads: To compute with; all processors of this process where None.
        verify: Compare every file with its checksum first.

    Raises:
        RunError: If it is no bundle, or damaged.
        ModelError: If what computes it is not installed.
    """
    folder = BundleFolder(Path(path))
    record = folder.read(verify=verify)
    return BundleReader(folder, record, open_pass(folder.path, record, threads=threads or cores()))


def pixels_of(image: Picture) -> NDArray[np.uint8]:
    """Return RGB pixels, shape (height, width, 3), of a file, its bytes, a Pillow image, or pixels.

    Raises:
        ImageError: If it cannot be read.
        DataError: If pixels are of another shape or type.
    """
    if isinstance(image, bytes):
        return decode(image)
    if isinstance(image, str | Path):
        return decode(_bytes(Path(image)))
    pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise DataError(
            f"Pixels are uint8 of shape (height, width, 3), not {pixels.dtype} of {pixels.shape}.",
            remedy="Convert them: np.asarray(image.convert('RGB')).",
        )
    return pixels


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"cannot be opened: {error.strerror}.", remedy="Check the path and its permissions."
        ) from None


def _name(image: Picture) -> str:
    return str(image) if isinstance(image, str | Path) else ""
