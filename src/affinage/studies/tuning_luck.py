"""By how much the luck of tuning moves what an arm scores: another seed would have chosen another setting."""

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 400


def tuning_variance(gains: ArrayLike, *, noise: float, seed: int = 0) -> float:
    """Return the variance of the chosen setting's true score, over seeds of exploration.

    Every setting is drawn anew with fresh noise, and the best is chosen; what it is worth without that
    noise is what varies. Scores are first drawn together towards their mean by as much as noise alone has
    spread them. What lies between the settings of the design is not seen.

    Args:
        gains: Of the explored settings, more is better, shape (n,); not finite where a trial failed.
        noise: Standard deviation of one trial's score over seeds.
        seed: Of the draws.

    Returns:
        At least 0; 0 for fewer than two settings, or where noise explains all their spread.

    Source:
        Parametric bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 6.5; drawing
        together: James & Stein, Estimation with Quadratic Loss, 1961.
    """
    found = np.asarray(gains, dtype=np.float64)
    found = found[np.isfinite(found)]
    n = len(found)
    if n < 2 or np.ptp(found) == 0:
        return 0.0
    kept = max(0.0, 1 - noise**2 / float(found.var(ddof=1)))
    true = found.mean() + kept * (found - found.mean())
    random = np.random.default_rng(seed)
    best = (true + random.normal(0, noise, (DRAWS, n))).argmax(axis=1)
    return float(true[best].var())
