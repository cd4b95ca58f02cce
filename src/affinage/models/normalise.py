"""What pixels are normalised by, fitted on images of the training part."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affinage.errors import DataError
from affinage.records.networks import ModelSettings
from affinage.records.preprocessing import Preprocessing

LEVELS = 256
PLACES = 1024
"""At most so many patches of one image are looked at, on a regular grid."""


@dataclass(slots=True)
class _Tally:
    """What was seen so far: how often each level of each channel, and how patches vary together."""

    patch: int
    levels: NDArray[np.int64]
    patches: int
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    def add(self, images: NDArray[np.uint8]) -> None:
        for channel in range(3):
            self.levels[channel] += np.bincount(images[..., channel].ravel(), minlength=LEVELS)
        if self.patch:
            rows = _patches(images, self.patch)
            self.patches += len(rows)
            self.sums += rows.sum(axis=0)
            self.products += rows.T @ rows  # Whole numbers below 2^53: exact in any order.


def fit_preprocessing(
    preprocessing: Preprocessing,
    batches: Iterable[NDArray[np.uint8]],
    settings: ModelSettings,
) -> Preprocessing:
    """Return a preprocessing whose normalisation fits these images, as `model.normalise` asks.

    `train`: mean 0 and deviation 1 per channel. `minmax`: the darkest value of a channel becomes 0,
    the brightest 1. `pca`: the colours, centred, turned to their principal axes and divided by the
    deviation along each. `zca`: the same, turned back, of whole neighbourhoods: each pixel keeps its
    place and loses what its neighbours tell of it, by one convolution.

    Give it evaluation views of the training part only: what it sees of other images, a score on
    them would know. It is the same for any order and any cut into batches.

    Args:
        preprocessing: The backbone's own; all but the normalisation is kept.
        batches: Views, uint8, each of shape (n, height, width, 3). Not read for `backbone`.
        settings: Of the model.

    Raises:
        DataError: If there is no image, or images are smaller than a patch.

    Source:
        Bell and Sejnowski, The "independent components" of natural scenes are edge filters, 1997,
        for ZCA; Krizhevsky, Learning multiple layers of features from tiny images, 2009, appendix A,
        for its use on such images, and for its filters being local, which is why a patch is enough.
    """
    method = settings.normalise
    if method == "backbone":
        return preprocessing
    patch = {"pca": 1, "zca": settings.whitening.patch}.get(method, 0)
    tally = _tally(batches, patch)
    mean, std, low, high = _of_channels(tally.levels)
    if method == "train":
        return replace(preprocessing, mean=_three(mean), std=_three(std), whitening=())
    if method == "minmax":
        return replace(preprocessing, mean=_three(low), std=_three(high - low), whitening=())
    kernel = _whitening(tally, method=method, epsilon=settings.whitening.epsilon)
    return replace(preprocessing, mean=_three(mean), std=(1.0, 1.0, 1.0), whitening=kernel)


def _tally(batches: Iterable[NDArray[np.uint8]], patch: int) -> _Tally:
    length = 3 * patch * patch
    tally = _Tally(
        patch=patch,
        levels=np.zeros((3, LEVELS), dtype=np.int64),
        patches=0,
        sums=np.zeros(length),
        products=np.zeros((length, length)),
    )
    for images in batches:
        tally.add(images)
    if not tally.levels.any():
        raise DataError(
            "There is no image to fit the normalisation to.",
            remedy="Give it images of the training part, or set model.normalise=backbone.",
        )
    return tally


def _of_channels(levels: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Return mean, deviation, least and largest value per channel, on the scale 0..1."""
    values = np.arange(LEVELS)
    count = levels.sum(axis=1)
    mean = levels @ values / count
    variance = levels @ values**2 / count - mean**2
    seen = [np.flatnonzero(row) for row in levels]
    low = np.array([rows[0] for rows in seen], dtype=np.float64)
    high = np.array([rows[-1] for rows in seen], dtype=np.float64)
    high = np.maximum(high, low + 1)  # A channel of one value: nothing to divide by.
    return mean / 255, np.sqrt(np.maximum(variance, 1.0)) / 255, low / 255, high / 255


def _patches(images: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Return patches as rows (places, 3 * side * side), ordered by channel, row and column.

    Raises:
        DataError: If a patch does not fit.
    """
    height, width = images.shape[1:3]
    if min(height, width) < side:
        raise DataError(
            f"No patch of {side} × {side} px fits into images of {width} × {height} px.",
            remedy="Lower model.whitening.patch.",
        )
    step = 1
    while -(-(height - side + 1) // step) * -(-(width - side + 1) // step) > PLACES:
        step += 1
    views = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    chosen = views[:, ::step, ::step]
    return chosen.reshape(-1, 3 * side * side).astype(np.float64)


def _whitening(
    tally: _Tally, *, method: str, epsilon: float
) -> tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]:
    mean = tally.sums / tally.patches
    covariance = (tally.products / tally.patches - np.outer(mean, mean)) / 255**2
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances[::-1], 0.0)
    axes = axes[:, ::-1]  # The strongest first.
    axes = axes * np.where(axes.sum(axis=0) < 0, -1.0, 1.0)  # An axis has no sign of its own.
    floor = max(float(variances.mean()), 255.0**-2)
    scaled = axes / np.sqrt(variances + epsilon * floor)
    side = tally.patch
    if method == "pca":
        rows = scaled.T
    else:
        centre = np.arange(3) * side * side + side * side // 2
        rows = (scaled @ axes.T)[centre]
    kernel = rows.reshape(3, 3, side, side)
    return tuple(
        tuple(tuple(tuple(map(float, line)) for line in plane) for plane in planes)
        for planes in kernel
    )


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
