"""Features on disk, keyed by everything that determines them, in bounded room."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from affinage.store.files import write_bytes, write_json
from affinage.store.pixel_cache import free_bytes

FORMAT = 1


class FeatureCache:
    """Feature vectors by image id, in small files that are written once and verified when read.

    Args:
        root: Folder of all caches of a data set.
        facts: Everything but the image that determines a feature: decoder, preprocessing, weights,
            engine, precision, versions. Another value of any of them is another cache.
        limit: Most bytes of all caches of the data set together; the files that were not asked for longest
            make way, and what does not fit beside those in use is not kept. None: a quarter of the room
            that the disk has for them.
    """

    def __init__(self, root: Path, facts: dict[str, str], *, limit: int | None = None) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        self.facts = facts
        self.root = root
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:24]
        self._limit = limit
        self._mine: set[Path] = set()

    def load(self, images: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Return the features that are there of the images asked for, by image id."""
        wanted = set(images)
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            if not wanted - found.keys():
                break
            asked = {image: row for image, row in _read(path) if image in wanted}
            if asked:
                self._use(path)
            found |= asked
        return found

    def add(self, images: Sequence[str], features: NDArray[np.float32]) -> None:
        """Keep the features of some images, if there is room or can be made.

        Args:
            images: Their ids, n of them.
            features: Shape (n, length), finite.
        """
        if not images:
            return
        rows = np.ascontiguousarray(features, dtype=np.float32)
        metadata = {
            "images": json.dumps(list(images)),
            "sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
        }
        data = save({"features": rows}, metadata)
        if not self._room_for(len(data)):
            return
        if not self.folder.exists():
            write_json(self.folder / "facts.json", self.facts)
        name = hashlib.sha256(metadata["images"].encode()).hexdigest()[:24]
        path = self.folder / f"{name}.safetensors"
        write_bytes(path, data)
        self._mine.add(path)

    def _use(self, path: Path) -> None:
        """Let a file be the last to go."""
        self._mine.add(path)
        with contextlib.suppress(OSError):
            os.utime(path)

    def _room_for(self, size: int) -> bool:
        """Return whether so many bytes fit, after the oldest files not in use were removed if not."""
        files = sorted(self._files())
        held = sum(length for _, length, _ in files)
        limit = (held + free_bytes(self.root)) // 4 if self._limit is None else self._limit
        for _, length, path in files:
            if held + size <= limit:
                break
            if path not in self._mine:
                with contextlib.suppress(OSError):
                    path.unlink()
                    held -= length
        return held + size <= limit

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield (time of last use, bytes, path) of the files of all caches of the data set."""
        for path in self.root.glob("*/*.safetensors"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                yield facts.st_mtime_ns, facts.st_size, path


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
