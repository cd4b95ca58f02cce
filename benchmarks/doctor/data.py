"""Small real images: scikit-learn's digits and the sample sets at 32 pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SIZE = 32
MOST = 400
SETS = ("digits", "malaria", "flowers12", "cifar10", "mushrooms4")


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one set, shape (n, channels, size, size), in [0, 1], with class indices."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.train_labels.max()) + 1


def images(name: str, samples: Path, cache: Path, *, size: int = SIZE) -> Images:
    """Return a set; decoded once, then read from the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{name}-{size}.npz"
    if not file.exists():
        arrays = _digits() if name == "digits" else _folders(samples / name, size)
        np.savez(file, **arrays)
    with np.load(file) as stored:
        x, y = torch.from_numpy(stored["x"]), torch.from_numpy(stored["y"])
        v, w = torch.from_numpy(stored["v"]), torch.from_numpy(stored["w"])
    return Images(x.float() / 255, y.long(), v.float() / 255, w.long())


def _digits() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = np.repeat(np.repeat(data.images[order] * 15.9375, 2, 1), 2, 2).astype(np.uint8)[:, None]
    y = data.target[order]
    return {"x": x[:MOST], "y": y[:MOST], "v": x[MOST : 2 * MOST], "w": y[MOST : 2 * MOST]}


def _folders(folder: Path, size: int) -> dict[str, np.ndarray]:
    from PIL import Image

    parts = {}
    for part, (a, b) in {"train": ("x", "y"), "test": ("v", "w")}.items():
        names = sorted(p.name for p in (folder / part).iterdir() if p.is_dir())
        pairs = [(p, i) for i, n in enumerate(names) for p in sorted((folder / part / n).iterdir())]
        chosen = np.random.default_rng(1).permutation(len(pairs))[:MOST]
        pixels = []
        for k in chosen:
            with Image.open(pairs[k][0]) as image:
                pixels.append(np.asarray(image.convert("RGB").resize((size, size))))
        parts[a] = np.stack(pixels).transpose(0, 3, 1, 2)
        parts[b] = np.array([pairs[k][1] for k in chosen])
    return parts
