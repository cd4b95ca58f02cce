"""Paired differences over images and seeds: their mean, its interval, and what could be detected."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri, ndtri, stdtrit

from affinage.errors import DataError
from affinage.metrics.intervals import percentile_estimate
from affinage.records.estimate import Estimate

POWER = 0.8
"""Share of studies that are to find the difference which was announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """The mean of a table of repeats by images, and where its uncertainty comes from.

    The model is y[r, i] = mean + image[i] + seed[r] + rest[r, i]: two crossed random effects.

    Attributes:
        mean: Over all repeats and images.
        images: n.
        repeats: R.
        image_square: Mean square between images; expects rest + R * variance of images.
        seed_square: Mean square between repeats; expects rest + n * variance of seeds. NaN for R = 1.
        rest_square: Mean square of the remainder; expects the variance of the rest. NaN for R = 1.
    """

    mean: float
    images: int
    repeats: int
    image_square: float
    seed_square: float
    rest_square: float

    @property
    def image_variance(self) -> float:
        """Variance of the images' own differences, at least 0."""
        rest = 0.0 if self.repeats == 1 else self.rest_square
        return max(0.0, (self.image_square - rest) / self.repeats)

    @property
    def seed_variance(self) -> float:
        """Variance of the seeds' own differences, at least 0; NaN for one repeat."""
        return (
            math.nan
            if self.repeats == 1
            else max(0.0, (self.seed_square - self.rest_square) / self.images)
        )

    @property
    def rest_variance(self) -> float:
        """Variance of what neither image nor seed explains; NaN for one repeat."""
        return math.nan if self.repeats == 1 else self.rest_square

    @property
    def trial_noise(self) -> float:
        """Standard deviation over seeds of the mean score of one of the two; NaN for one repeat."""
        return math.sqrt((self.seed_variance + self.rest_variance / self.images) / 2)

    def variance(self) -> float:
        """Return the variance of the mean; NaN for one repeat, which says nothing of seeds."""
        if self.repeats == 1:
            return math.nan
        least = max(self.image_square, self.seed_square)
        total = max(self.image_square + self.seed_square - self.rest_square, least)
        return total / (self.images * self.repeats)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ends of the interval at a level of coverage; infinite for one repeat.

        Images and seeds have quantiles of their own, weighted by their part of the variance: with three
        seeds the part that goes with seeds is known by two degrees of freedom, however many images.

        The quantiles are weighted as squares, so that more images never widen the interval; weighted as
        they are, as in the source, they can.

        Source:
            Cochran & Cox, Experimental Designs, 1957, section 4.14, but for the squares.
        """
        if self.repeats == 1:
            return -math.inf, math.inf
        half = _weighted_quantile(
            (1 + level) / 2,
            images=max(0.0, self.image_square - self.rest_square),
            seeds=self.seed_square,
            n=self.images,
            repeats=self.repeats,
        ) * math.sqrt(self.variance())
        return self.mean - half, self.mean + half


def crossed(table: ArrayLike, *, unit: float = 0.0) -> Crossed:
    """Return the mean of a table of differences and its mean squares.

    The variance of the mean is (MS images + MS seeds - MS rest) / (n R): new images and new seeds
    are both thought of as drawn at random.

    Args:
        table: Differences, shape (repeats, images), both at least 1.
        unit: Where a difference of one image is -unit, 0 or unit, that unit: half an image that
            differs is added on each side, so that few images that differ do not seem to be sure.

    Raises:
        DataError: If the table is empty or not finite.

    Source:
        Cornfield & Tukey, Average Values of Mean Squares in Factorials, 1956; the half image on each side:
        Agresti & Min, Effects and Non-Effects of Paired Identical Observations in Comparing
        Proportions with Binary Matched-Pairs Data, 2004.
    """
    y = np.asarray(table, dtype=np.float64)
    if y.ndim != 2 or not y.size or not np.isfinite(y).all():
        raise DataError(
            f"Differences are a table of repeats by images without gaps; this has shape {y.shape}.",
            remedy="Give one row of finite numbers for each repeat.",
        )
    repeats, n = y.shape
    mean, by_image, by_seed = float(y.mean()), y.mean(axis=0), y.mean(axis=1)
    images = repeats * (float(((by_image - mean) ** 2).sum()) + unit**2) / max(1, n - 1)
    if repeats == 1:
        return Crossed(
            mean=mean, images=n, repeats=1, image_square=images,
            seed_square=math.nan, rest_square=math.nan,
        )  # fmt: skip
    seeds = n * float(((by_seed - mean) ** 2).sum()) / (repeats - 1)
    rest = y - by_image - by_seed[:, None] + mean
    left = float((rest**2).sum()) / (max(1, n - 1) * (repeats - 1))
    return Crossed(
        mean=mean, images=n, repeats=repeats,
        image_square=images, seed_square=seeds, rest_square=left,
    )  # fmt: skip


def paired_bootstrap(
    table: ArrayLike, *, seed: int = 0, draws: int = 1000, confidence: float = 0.95
) -> Estimate:
    """Return the mean difference with the percentile interval of a bootstrap over images and seeds.

    Both are drawn anew, each as a whole: the pigeonhole bootstrap, which is on the safe side where
    the remainder is large. A seed alone or an image alone is drawn as it is.

    Args:
        table: Differences, shape (repeats, images).
        seed: Of the draws.
        draws: How many.
        confidence: Coverage of the interval, in (0, 1).

    Source:
        Owen, The Pigeonhole Bootstrap, 2007.
    """
    y = np.asarray(table, dtype=np.float64)
    random, (repeats, n) = np.random.default_rng(seed), y.shape
    rows = random.multinomial(repeats, np.full(repeats, 1 / repeats), size=draws) / repeats
    columns = random.multinomial(n, np.full(n, 1 / n), size=draws) / n
    redrawn = np.einsum("dr,dr->d", rows, columns @ y.T)
    return percentile_estimate(float(y.mean()), redrawn, n, confidence=confidence)


def planned_variance(pilot: Crossed, *, repeats: int, images: int | None = None) -> float:
    """Return the variance that the mean would have with other numbers of repeats and images.

    Args:
        pilot: With at least two repeats.
        repeats: Planned.
        images: Planned; those of the pilot by default.
    """
    n = images or pilot.images
    return (
        pilot.image_variance / n
        + pilot.seed_variance / repeats
        + pilot.rest_variance / (n * repeats)
    )


def detectable(
    pilot: Crossed, *, repeats: int, level: float, images: int | None = None, spread: float = 0.0
) -> float:
    """Return the difference that is found in four of five studies, at the interval's level.

    The noise between seeds is known from few of them; it is taken as its upper bound, which it
    exceeds in one of five pilots, so that the promise is kept on average over pilots too.

    Args:
        pilot: Mean squares of differences, with at least two repeats.
        repeats: Planned for the last look.
        level: Coverage of the interval at that look.
        images: Planned; those of the pilot by default.
        spread: Standard deviation of what else moves the difference, such as the luck of tuning.

    Source:
        Sample size for a mean, Cochran & Cox, Experimental Designs, 1957, section 2.2; the upper bound
        of the pilot's variance: Browne, On the Use of a Pilot Sample for Sample Size
        Determination, 1995.
    """
    n = images or pilot.images
    seeds = _upper(pilot.seed_square, pilot.repeats - 1) if pilot.repeats > 1 else 0.0
    seed_part = max(0.0, seeds - pilot.rest_square) / (pilot.images * repeats)
    variance = max(
        seed_part + pilot.image_variance / n + pilot.rest_variance / (n * repeats),
        planned_variance(pilot, repeats=repeats, images=n),
    )
    image_part = pilot.image_variance / n
    tails = sum(
        _weighted_quantile(
            share, images=image_part, seeds=variance - image_part, n=n, repeats=repeats
        )
        for share in ((1 + level) / 2, POWER)
    )
    return math.hypot(
        tails * math.sqrt(variance), float(ndtri(level / 2 + 0.5) + ndtri(POWER)) * spread
    )


def _weighted_quantile(share: float, *, images: float, seeds: float, n: int, repeats: int) -> float:
    """Return Student's quantile for a variance of two parts, each by its own degrees of freedom."""
    if repeats < 2 or images + seeds <= 0:
        return quantile(share, max(1, n - 1))
    by_images, by_seeds = quantile(share, max(1, n - 1)), quantile(share, repeats - 1)
    return math.sqrt((images * by_images**2 + seeds * by_seeds**2) / (images + seeds))


def quantile(share: float, freedom: float) -> float:
    """Return the quantile of Student's distribution."""
    return float(stdtrit(freedom, share))


def _upper(square: float, freedom: int, *, share: float = 0.8) -> float:
    """Return the bound that the mean square's expectation exceeds in 1 - share of samples."""
    return square * freedom / float(chdtri(freedom, share))
