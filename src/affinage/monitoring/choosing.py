"""Which images to label next: some that resemble nothing, some that are unsure, some by chance."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Why = Literal["unlike", "unsure", "chance"]

_COPIES = 0.995  # Cosine from which one label does for two images.


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An image to label.

    Attributes:
        row: Its row.
        why: What it was chosen for.
    """

    row: int
    why: Why


def choose(
    features: NDArray[np.floating],
    far: NDArray[np.floating],
    sure: NDArray[np.floating],
    *,
    count: int,
    seed: int,
) -> tuple[Chosen, ...]:
    """Return images whose labels would teach most, each once and none a near-copy of another.

    A third by chance: only these measure an accuracy, as the others are the hard ones. A third that
    resembles nothing in the baseline. The rest those that the model is least sure of. Where
    nothing is unlike, more are unsure.

    Args:
        features: Shape (n, d).
        far: From `loneliness`, shape (n,).
        sure: Confidence, shape (n,).
        count: At most so many.
        seed: Of the draw.

    Source:
        Settles, Active Learning Literature Survey, 2009, section 3.1 (uncertainty), 3.6 (density).
    """
    by_chance = np.random.default_rng(seed).permutation(len(far))
    unlike = np.argsort(-far, kind="stable")
    orders: list[tuple[Why, list[int], int]] = [
        ("chance", by_chance.tolist(), -(-count // 3)),
        ("unlike", [row for row in unlike.tolist() if far[row] > 1], count // 3),
        ("unsure", np.argsort(sure, kind="stable").tolist(), count),
    ]
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    chosen: list[Chosen] = []
    for why, order, most in orders:
        taken = 0
        for row in order:
            if taken == most or len(chosen) == count:
                break
            others = [one.row for one in chosen]
            if others and float((unit[others] @ unit[row]).max()) >= _COPIES:
                continue
            chosen.append(Chosen(row=row, why=why))
            taken += 1
    return tuple(chosen)
