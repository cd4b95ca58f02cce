"""Features on disk, keyed by everything that determines them."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from affinage.store.files import write_bytes, write_json

FORMAT = 1


class FeatureCache:
    """Feature vectors by image id, in small files that are written once and verified when read.

    Args:
        root: Folder of all caches of a data set.
        facts: Everything but the image that determines a feature: decoder, preprocessing, weights,
            engine, precision, versions. Another value of any of them is another cache.
    """

    def __init__(self, root: Path, facts: dict[str, str]) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        self.facts = facts
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:24]

    def load(self, images: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Return the features that are there of the images asked for, by image id."""
        wanted = set(images)
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            if not wanted - found.keys():
                break
            found |= {image: row for image, row in _read(path) if image in wanted}
        return found

    def add(self, images: Sequence[str], features: NDArray[np.float32]) -> None:
        """Keep the features of some images.

        Args:
            images: Their ids, n of them.
            features: Shape (n, length), finite.
        """
        if not images:
            return
        if not self.folder.exists():
            write_json(self.folder / "facts.json", self.facts)
        rows = np.ascontiguousarray(features, dtype=np.float32)
        metadata = {
            "images": json.dumps(list(images)),
            "sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
        }
        name = hashlib.sha256(metadata["images"].encode()).hexdigest()[:24]
        write_bytes(self.folder / f"{name}.safetensors", save({"features": rows}, metadata))


def _read(path: Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Return what a file holds; a damaged one is removed, so that it is computed anew."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            rows: NDArray[np.float32] = file.get_tensor("features")
        if hashlib.sha256(rows.tobytes()).hexdigest() != metadata["sha256"]:
            raise ValueError
        return list(zip(json.loads(metadata["images"]), rows, strict=True))
    except (SafetensorError, ValueError, KeyError, TypeError, OSError):
        with contextlib.suppress(OSError):
            path.unlink()
        return []
