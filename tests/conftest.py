"""Real images for every test: scikit-learn's scanned digits, and the sample sets where they are."""

from pathlib import Path

import numpy as np
import pytest
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


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 20 real digits each."""
    return write_digits(tmp_path_factory.mktemp("digits") / "digits", classes=3, per_class=20)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real sample sets."""
    if not SAMPLES.is_dir():
        pytest.skip("the sample image sets are not beside this checkout")
    return SAMPLES


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
