"""Real images for every test: scikit-learn's scanned digits, and the sample sets where they are."""

import os
from pathlib import Path

import pytest

from real_digits import SAMPLES, write_digits

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras 3 computes with what is here.


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
