"""One real training that many tests look at."""

from pathlib import Path

import pytest

import affinage
from affinage.workflows.reporter import Silent
from real_digits import SMALL


@pytest.fixture(scope="session")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> affinage.Run:
    """A finished run of both stages on 60 real digits."""
    folder = tmp_path_factory.mktemp("trained")
    return affinage.train(
        digits,
        data=folder / "data",
        output=folder / "run",
        settings=SMALL,
        goal="accuracy >= 0.5",
        reporter=Silent(),
    )
