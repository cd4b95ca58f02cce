"""How a score grows with the number of images, and what more of them would probably give."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import percentile_estimate
from affinage.records.answer import Extrapolated

FEWEST = 3
"""Sizes below which a curve of three numbers is not fitted."""

EXPONENTS = np.linspace(0.1, 2.0, 39)
DRAWS = 200


def extrapolate(
    sizes: Sequence[int],
    errors: Sequence[NDArray[np.float64]],
    wanted: Sequence[int],
    *,
    seed: int = 0,
) -> tuple[Extrapolated, ...]:
    """Return the error at other sizes, by a power law error = a + b n^-c with a, b ≥ 0.

    The band is a bootstrap over images and seeds, each drawn anew for all sizes together. It holds what
    chance does to the curve's points, not that the law might not hold so far out.

    Args:
        sizes: Images of each class that were learnt from, ascending.
        errors: Of each size, for each repeat and image, shape (repeats, images); images are the same.
        wanted: Sizes to say it for.
        seed: Of the draws.

    Source:
        Cortes et al., Learning Curves: Asymptotic Values and Rate of Convergence, 1993; Hestness et
        al., Deep Learning Scaling Is Predictable, Empirically, 2017.
    """
    if len(sizes) < FEWEST:
        return ()
    weights = np.array([len(one) for one in errors], dtype=np.float64)
    curves = _redrawn(errors, seed)
    found = _fitted(np.asarray(sizes), curves, weights, np.asarray(wanted))
    return _told(wanted, found, errors[0].shape[1])


def extrapolate_classes(
    classes: Sequence[int],
    errors: Sequence[NDArray[np.float64]],
    wanted: Sequence[int],
    *,
    seed: int = 0,
) -> tuple[Extrapolated, ...]:
    """Return the error with other numbers of classes, by error = a (k - 1)^b, a line on two logarithms.

    Every further class is another chance to be taken for it: were these chances equal and rare, b would be
    1. The band is a bootstrap over images and seeds, drawn anew for all numbers together.

    Args:
        classes: Numbers of classes, ascending, at least 2.
        errors: Of each, for each repeat and image, shape (repeats, images); images are the same.
        wanted: Numbers to say it for.
        seed: Of the draws.

    Source:
        The power law is an assumption, checked on the points that it is fitted to; least squares on
        logarithms: Draper & Smith, Applied Regression Analysis, 1998.
    """
    if len(classes) < FEWEST:
        return ()
    curves = _redrawn(errors, seed)
    n = errors[0].shape[1]
    x = np.log(np.asarray(classes, dtype=np.float64) - 1)
    y = np.log(np.maximum(curves, 0.5 / n))  # Half an image where none was wrong.
    centre = x - x.mean()
    slopes = y @ centre / float(centre @ centre)
    ahead = np.log(np.asarray(wanted, dtype=np.float64) - 1) - x.mean()
    found = np.minimum(1.0, np.exp(y.mean(axis=1)[:, None] + slopes[:, None] * ahead))
    return _told(wanted, found, n)


def _told(wanted: Sequence[int], found: NDArray[np.float64], n: int) -> tuple[Extrapolated, ...]:
    """Return what the first row says, with the band of the others."""
    return tuple(
        Extrapolated(
            size=size, error=percentile_estimate(float(found[0, place]), found[1:, place], n)
        )
        for place, size in enumerate(wanted)
    )


def _redrawn(errors: Sequence[NDArray[np.float64]], seed: int) -> NDArray[np.float64]:
    """Return mean errors by size: as they are, then with images and seeds drawn anew."""
    random, n = np.random.default_rng(seed), errors[0].shape[1]
    images = random.multinomial(n, np.full(n, 1 / n), size=DRAWS) / n
    means = [np.array([float(one.mean()) for one in errors])]
    redrawn = []
    for one in errors:
        seeds = random.multinomial(len(one), np.full(len(one), 1 / len(one)), size=DRAWS) / len(one)
        redrawn.append(np.einsum("dr,dr->d", seeds, images @ one.T))
    return np.vstack([*means, np.column_stack(redrawn)])


def _fitted(
    sizes: NDArray[np.integer],
    curves: NDArray[np.float64],
    weights: NDArray[np.float64],
    wanted: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return each curve's least-squares power law at the wanted sizes, shape (curves, wanted).

    For an exponent a and b have a closed form; where one would be negative it is 0, and the other alone
    is fitted.
    """
    best = np.full(len(curves), np.inf)
    told = np.zeros((len(curves), len(wanted)))
    share = weights / weights.sum()
    mean = curves @ share
    for exponent in EXPONENTS:
        x = (sizes / sizes[0]) ** -exponent
        centre = float(share @ x)
        b = ((curves - mean[:, None]) @ (share * (x - centre))) / float(share @ (x - centre) ** 2)
        b = np.maximum(b, 0.0)
        a = mean - b * centre
        alone = (curves @ (share * x)) / float(share @ x**2)
        a, b = np.where(a < 0, 0.0, a), np.where(a < 0, alone, b)
        left = ((curves - a[:, None] - b[:, None] * x) ** 2) @ share
        better = left < best - 1e-15
        best = np.where(better, left, best)
        found = a[:, None] + b[:, None] * (wanted / sizes[0]) ** -exponent
        told = np.where(better[:, None], found, told)
    return told
