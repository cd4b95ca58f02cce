"""Features centred, scaled and turned into a basis in which a linear fit is short."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

LARGEST_ROTATION = 4096
"""Above so many dimensions the eigenvalues would take longer than the fit that they shorten."""

ROUGH_FROM = 256
"""From so many features on their axes are had in float32, in half the time: orthonormal to 2e-6."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rotated:
    """Features as the solver sees them, and the way back.

    Attributes:
        rows: Centred, scaled, rotated features, shape (n, rank).
        variance: Mean square of each column of `rows`, shape (rank,).
        mean: What was taken from each feature, shape (d,).
        scale: What all features were divided by; 1 where they are constant.
        basis: Rotated axes in scaled features, shape (d, rank); None where nothing was rotated.
    """

    rows: NDArray[np.float64]
    variance: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: float
    basis: NDArray[np.float64] | None

    def to_plain(
        self, weight: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weight (classes, d) and bias for raw features from those for `rows`."""
        plain = (weight if self.basis is None else weight @ self.basis.T) / self.scale
        return plain, bias - plain @ self.mean

    def from_plain(
        self, weight: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weight (classes, rank) and bias for `rows` from those for raw features."""
        scaled = weight * self.scale
        return scaled if self.basis is None else scaled @ self.basis, bias + weight @ self.mean


def rotate(
    features: NDArray[np.floating], weights: NDArray[np.float64], *, turn: bool = True
) -> Rotated:
    """Return features with mean 0 and mean variance 1, in the basis of their principal axes.

    All features are divided by one number, not each by its own deviation: a feature of the
    backbone that varies little says little, and blowing it up cost 0.3 to 0.7 points of accuracy
    on three image sets (docs/log.md). One number suffices to make a penalty mean the same for
    every backbone.

    With fewer images than features only as many axes as images carry anything: an L2 penalty
    puts no weight outside the images' span (the representer theorem), so dropping the rest is
    exact. Along principal axes the curvature of the loss is nearly diagonal and known, which
    lets the solver take steps of the right length in every direction.

    Args:
        features: Raw features, shape (n, d).
        weights: Weight of each image, summing to 1, shape (n,); mean and variance follow them.
        turn: False to centre and scale only.
    """
    table = np.asarray(features, dtype=np.float64)
    mean = weights @ table
    rows = table - mean
    scale = float(np.sqrt((weights @ rows**2).mean())) if rows.size else 0.0
    # Smaller than this is the rounding of constants, which must not be blown up to a feature.
    scale = scale if scale > 1e-9 * float(np.abs(mean).max(initial=0)) else 1.0
    rows /= scale
    turn = turn and min(rows.shape) <= LARGEST_ROTATION
    basis = _principal_axes(rows) if turn else None
    if basis is not None:
        rows = rows @ basis
    return Rotated(rows=rows, variance=weights @ rows**2, mean=mean, scale=scale, basis=basis)


def rotate_evenly(features: ArrayLike) -> Rotated:
    """Return features rotated with each image counting the same, for several fits on them.

    Args:
        features: Finite, shape (n, d), n at least 1.
    """
    rows = np.asarray(features)
    with threadpool_limits(limits=1, user_api="blas"):
        return rotate(rows, np.full(len(rows), 1 / len(rows)))


def _principal_axes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal axes that span the rows, shape (d, rank)."""
    n, d = rows.shape
    wide = n < d
    if not wide and d >= ROUGH_FROM:
        rough = rows.astype(np.float32)
        turned: NDArray[np.float64] = eigh(rough.T @ rough, driver="evd")[1].astype(np.float64)
        return turned
    values, vectors = eigh(rows @ rows.T if wide else rows.T @ rows, driver="evd")
    kept = values > max(float(values[-1]), 0.0) * 1e-12 if values.size else values > 0
    if not wide:
        axes: NDArray[np.float64] = vectors[:, kept]
        return axes
    spanned: NDArray[np.float64] = (rows.T @ vectors[:, kept]) / np.sqrt(values[kept])
    return spanned
