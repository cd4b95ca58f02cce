"""Which images to label next: some that resemble nothing, some that are unsure, some by chance."""

import hashlib
from collections.abc import Sequence
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
    images: Sequence[str],
    count: int,
    seed: int,
) -> tuple[Chosen, ...]:
    """Return images whose labels would teach most, each once and none a near-copy of another.

    A third by chance: only these measure an accuracy, as the others are the hard ones. A third that
    resembles nothing in the baseline. The rest those that the model is least sure of. Where
    nothing is unlike, more are unsure.

    The draw goes by ids, not by places: of images drawn before, those come again that are still among the
    first of their hashes, so a label that was given counts on when a few images more have come.

    Args:
        features: Shape (n, d).
        far: From `loneliness`, shape (n,).
        sure: Confidence, shape (n,).
        images: Ids, n of them.
        count: At most so many.
        seed: Of the draw.

    Source:
        Settles, Active Learning Literature Survey, 2009, section 3.1 (uncertainty), 3.6 (density).
    """
    by_chance = sorted(range(len(far)), key=lambda row: _drawn(images[row], seed))
    unlike = np.argsort(-far, kind="stable")
    orders: list[tuple[Why, list[int], int]] = [
        ("chance", by_chance, -(-count // 3)),
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


def _drawn(image: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {image}".encode()).digest()
