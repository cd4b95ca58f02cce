"""Image folders to try things on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .samples import picture

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write images of their own at relative paths, and return the folder."""

    def write(*paths: str, under: str = "photos") -> Path:
        root = tmp_path / under
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            suffix = file.suffix.lower() if file.suffix.lower() in (".png", ".jpg") else ".png"
            file.write_bytes(picture(path, suffix))
        return root

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared/data"
    if not folder.is_dir():
        pytest.skip("the sample image sets are not on this machine")
    return folder
