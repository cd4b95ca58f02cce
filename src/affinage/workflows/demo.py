"""The verb `demo`: real images that come with the installation, written out as a folder per class."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from affinage.store.files import write_bytes
from affinage.workflows.reporter import Reporter, Silent

SETTINGS = (
    "augment.horizontal_flip=false",
    "augment.crop=0.8",
    "augment.rotation=10",
    "model.width=96",
    "model.height=96",
    "finetune.unfreeze=all",
    "finetune.epochs=6",
)
"""A flipped digit is another sign. 8 × 8 grey levels need no large input; and they are so unlike
photographs that all blocks are trained.
"""


BORDER = 4
"""Black pixels around each digit."""

DESCRIPTION = (
    "1,797 real handwritten digits (Alpaydin and Kaynak, UCI Machine Learning Repository, 1998; "
    "carried by scikit-learn), 8 × 8 grey levels each"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Where the demonstration's images are, and what they are."""

    folder: Path
    images: int
    description: str
    settings: tuple[str, ...]


def demo(into: str | Path = "affinage-demo/digits", *, reporter: Reporter | None = None) -> Demo:
    """Write scikit-learn's scanned digits as an image folder: `0/0001.png` … `9/1789.png`.

    The grey levels 0..16 are scaled to 0..255 and each pixel is shown as 4 × 4 within a black border,
    so that people can see the pictures and a crop does not cut the sign; files that are there
    already stay as they are.

    Args:
        into: Folder to write.
        reporter: Told of progress.

    Raises:
        AffinageError: If the folder cannot be written.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - costs a second.

    told = reporter or Silent()
    folder = Path(into)
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        told.phase("writing digits", number + 1, len(digits.images))
        if not path.exists():
            write_bytes(path, _png(pixels))
    return Demo(
        folder=folder, images=len(digits.images), description=DESCRIPTION, settings=SETTINGS
    )


def _png(pixels: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> bytes:
    grey = np.round(pixels * (255 / 16)).astype(np.uint8)
    picture = Image.fromarray(np.pad(np.kron(grey, np.ones((4, 4), dtype=np.uint8)), BORDER))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
