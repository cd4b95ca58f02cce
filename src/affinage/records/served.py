"""Served: one image that a server answered, as its log keeps it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """What a server saw and said; the picture itself is not in it.

    Attributes:
        at: UTC time of the answer, ISO 8601.
        image: SHA-256 of the file's bytes.
        name: What the client called the file, without folders, at most 120 characters.
        bundle: Identity of the bundle that answered.
        label: What was said: the label, or several, between "; "; empty for counts.
        outputs: Probability or count of each label, shape (labels,).
        measures: As `records.bundle.MEASURES` names them, shape (len(MEASURES),).
        features: Of the network, shape (d,), float16.
        notes: How the image was read where that is not plain.
    """

    at: str
    image: str
    name: str
    bundle: str
    label: str
    outputs: NDArray[np.float32]
    measures: NDArray[np.float32]
    features: NDArray[np.float16]
    notes: tuple[str, ...] = field(default=())
