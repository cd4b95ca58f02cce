"""What the model saw before it left: the baseline that new images are compared with."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.bundle.reader import BundleReader
from affinage.imaging.batches import Item, read
from affinage.imaging.measure import appearance
from affinage.records.bundle import MEASURES, BaselinePart

MOST = 2_000
"""Images of a part at most: the first by their ids, which are as good as random."""

_CHUNK = 32
_OF_PIXELS = MEASURES[:-3]

Progress = Callable[[int, int], None]


def baseline_part(
    reader: BundleReader,
    items: Sequence[Item],
    targets: Mapping[str, NDArray[Any]],
    *,
    threads: int,
    progress: Progress | None = None,
) -> BaselinePart:
    """Return measures, features, outputs and truth of a part, as the exported model gives them.

    Args:
        reader: The bundle.
        items: Images of the part.
        targets: Truth by image.
        threads: That read and measure.
        progress: Told (done, total) images.

    Raises:
        ImageError: If an image is gone or cannot be read.
    """
    chosen = sorted(items, key=lambda item: item.image)[:MOST]
    measures: list[tuple[float, ...]] = []
    features: list[NDArray[np.float16]] = []
    outputs: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(chosen), _CHUNK):
            looks = list(pool.map(lambda item: _look(reader, item), chosen[start : start + _CHUNK]))
            rows = reader.compute(np.stack([view for view, _ in looks]))
            measures.extend(numbers for _, numbers in looks)
            features.append(rows["features"].astype(np.float16))
            outputs.append(rows["outputs"].astype(np.float32))
            if progress is not None:
                progress(min(start + _CHUNK, len(chosen)), len(chosen))
    return BaselinePart(
        images=tuple(item.image for item in chosen),
        measures=np.array(measures, dtype=np.float32).reshape(-1, len(MEASURES)),
        features=np.concatenate(features),
        outputs=np.concatenate(outputs),
        targets=np.stack([targets[item.image] for item in chosen]),
    )


def as_judged(
    part: BaselinePart, predictions: pl.DataFrame, labels: tuple[str, ...]
) -> BaselinePart:
    """Return validation with the outputs that the run itself judged, made before it learnt these images.

    Args:
        part: The validation part, as the kept model sees it.
        predictions: Of the run: columns image, part and `p:LABEL` for each label.
        labels: In the order of the outputs.

    Returns:
        The part as it is where the table has no probabilities, or lacks an image.
    """
    columns = [f"p:{label}" for label in labels]
    if not {"image", "part", *columns} <= set(predictions.columns):
        return part
    rows = predictions.filter(pl.col("part") == "validation").unique("image", keep="first")
    found = dict(zip(rows["image"].to_list(), rows.select(columns).rows(), strict=True))
    if any(image not in found for image in part.images):
        return part
    outputs = np.array([found[image] for image in part.images], dtype=np.float32)
    return replace(part, outputs=outputs)


def measured(pixels: NDArray[np.uint8], data: bytes) -> tuple[float, ...]:
    """Return the columns of `MEASURES` of an image.

    Args:
        pixels: RGB, shape (height, width, 3).
        data: The file that they come from.
    """
    found = appearance(pixels)
    height, width = pixels.shape[:2]
    return (*(found[name] for name in _OF_PIXELS), width, height, len(data))


def _look(reader: BundleReader, item: Item) -> tuple[NDArray[np.uint8], tuple[float, ...]]:
    data = read(item)
    pixels = reader.pixels(data)
    return reader.view(pixels), measured(pixels, data)
