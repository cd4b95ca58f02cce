"""Real images that an installed package carries: scikit-learn's scanned digits."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "data"

SMALL = (
    "model.width=64",
    "model.height=64",
    "augment.horizontal_flip=false",
    "finetune.epochs=2",
    "finetune.batch_size=16",
)
"""Settings that make a training take seconds on small images."""


def write_digits(folder: Path, *, classes: int, per_class: int, first: int = 0) -> Path:
    """Write real scanned digits as a folder per class."""
    digits = load_digits()
    for label in range(classes):
        chosen = np.flatnonzero(digits.target == label)[first : first + per_class]
        (folder / f"{label}").mkdir(parents=True, exist_ok=True)
        for number in chosen:
            grey = np.round(digits.images[number] * (255 / 16)).astype(np.uint8)
            Image.fromarray(np.kron(grey, np.ones((4, 4), np.uint8))).save(
                folder / f"{label}" / f"{number:04d}.png"
            )
    return folder
