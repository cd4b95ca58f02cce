"""Held-out logits of many linear heads on the same images: what they share is done once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from affinage.heads.rotation import rotate
from affinage.heads.softmax_regression import Problem, solve

GAP = 1e-4
"""Share of the loss that each fit may leave to gain."""


class HeldOutHeads:
    """Images turned once into the basis in which heads are fitted, as often as asked.

    Centre, scale and basis are those of all images: they see no label, the basis drops nothing, and every
    head that is compared has the same.

    Args:
        features: Finite, shape (n, d).
    """

    def __init__(self, features: ArrayLike) -> None:
        rows = np.asarray(features)
        with threadpool_limits(limits=1, user_api="blas"):
            self._rotated = rotate(rows, np.full(len(rows), 1 / len(rows)))

    def logits(
        self,
        labels: NDArray[np.int64],
        classes: int,
        *,
        penalty: float,
        parts: NDArray[np.int64],
        learning: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float64]:
        """Return the logits of every image by a head that learnt from other parts, shape (n, classes).

        Args:
            labels: Class indices, shape (n,).
            classes: How many there are.
            penalty: Positive; the L2 penalty.
            parts: The part of each image, shape (n,), 0..parts-1: each is held out in turn.
            learning: Which images may be learnt from, shape (n,); all by default.
        """
        rows, found = self._rotated.rows, np.zeros((len(labels), classes))
        may = np.ones(len(labels), dtype=bool) if learning is None else learning
        start = None
        with threadpool_limits(limits=1, user_api="blas"):
            for part in range(int(parts.max()) + 1):
                taught = (parts != part) & may
                n = int(taught.sum())
                problem = Problem(
                    rows=rows[taught], labels=labels[taught], weights=np.full(n, 1 / max(1, n)),
                    variance=self._rotated.variance, classes=classes, penalty=penalty,
                )  # fmt: skip
                start = solve(problem, start, gap=GAP)
                found[parts == part] = rows[parts == part] @ start[0].T + start[1]
        return found
