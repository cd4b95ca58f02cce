"""The log of a server: what was seen and said, bounded on disk; the only place that knows its files.

LOG/
├── predictions-000001.jsonl   one line for each image; the oldest file goes when there is no room
├── corrections.csv            what people said was right, from the page
└── pictures/ID                the images themselves, where that was asked
"""

import base64
import contextlib
import csv
import errno
import json
import os
import threading
from collections.abc import Iterator, Sequence
from io import FileIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.errors import AffinageError, RunError
from affinage.records.served import Served
from affinage.store.files import make_folder, write_bytes

FORMAT = 1
FILES = 16
"""Files that the bound is shared by: one sixteenth of the log goes at once."""


class PredictionLog:
    """A folder of lines that are only ever appended to, and thrown away file by file.

    A crash loses at most the line that was being written. One process writes; others may read.

    Args:
        path: The folder; it is made at the first line.
        megabytes: Bound of all lines together, and of all pictures together, at least 1.
    """

    def __init__(self, path: Path, *, megabytes: int = 256) -> None:
        self.path, self._bytes = path, megabytes * 1_000_000
        self._lock = threading.Lock()
        self._number = max((_number(file) for file in self.files()), default=1)
        self._held: dict[str, int] | None = None
        self.damaged = 0
        """Lines that the last reading left out."""

    @property
    def corrections(self) -> Path:
        """The table of what people said was right."""
        return self.path / "corrections.csv"

    def files(self) -> list[Path]:
        """Return the files of lines, the oldest first."""
        return sorted(self.path.glob("predictions-*.jsonl"))

    def append(self, served: Sequence[Served]) -> None:
        """Append what was served, and throw the oldest file away where the bound is reached.

        Raises:
            AffinageError: If the disk is full or the place cannot be written.
        """
        data = "".join(
            json.dumps(_plain(one), ensure_ascii=False) + "\n" for one in served
        ).encode()
        with self._lock, _told(self.path):
            if not self._fits(data):
                self._number += 1
                for old in self.files()[: -FILES + 1]:
                    old.unlink()
                self._fits(data, alone=True)

    def read(self) -> Iterator[Served]:
        """Yield what was served, the oldest first; lines that are cut or damaged are left out.

        Raises:
            RunError: If there is no log in the folder.
        """
        files = self.files()
        if not files:
            raise RunError(
                f"'{self.path}' holds no log of predictions.",
                remedy="Point at the folder that `affinage serve BUNDLE --log FOLDER` writes.",
            )
        self.damaged = 0
        for file in files:
            with contextlib.suppress(FileNotFoundError), file.open("rb") as handle:
                for line in handle:
                    try:
                        found = _served(json.loads(line))
                    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                        self.damaged += 1
                        continue
                    yield found

    def keep_picture(self, image: str, data: bytes) -> None:
        """Keep the bytes of an image under its id; the oldest go where the bound is reached."""
        folder = self.path / "pictures"
        with self._lock, _told(self.path):
            if self._held is None:
                make_folder(folder)
                there = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
                self._held = {file.name: file.stat().st_size for file in there}
            if image in self._held:
                return
            write_bytes(folder / image, data)
            self._held[image] = len(data)
            while sum(self._held.values()) > self._bytes and len(self._held) > 1:
                oldest = next(iter(self._held))
                (folder / oldest).unlink(missing_ok=True)
                del self._held[oldest]

    def picture(self, image: str) -> Path | None:
        """Return where the bytes of an image lie, or None where they were not kept."""
        path = self.path / "pictures" / image
        return path if len(image) == 64 and image.isalnum() and path.is_file() else None

    def correct(self, image: str, name: str, said: str, label: str, at: str) -> None:
        """Append what a person says of an image: columns image, name, said, label, at.

        Raises:
            AffinageError: If the table has reached the bound of the log, or cannot be written.
        """
        with self._lock, _told(self.path):
            make_folder(self.path)
            self._check_room()
            with self.corrections.open("a+b", buffering=0) as handle:
                end = _ended(handle)
                text = StringIO()
                writer = csv.writer(text, lineterminator="\n")
                if not handle.tell():
                    writer.writerow(["image", "name", "said", "label", "at"])
                writer.writerow([image, name, said, label, at])
                _append(handle, end + text.getvalue().encode())
                os.fsync(handle.fileno())

    def _check_room(self) -> None:
        """Refuse corrections beyond the bound: what one person said makes no room for another's."""
        if self.corrections.exists() and self.corrections.stat().st_size >= self._bytes:
            raise AffinageError(
                f"'{self.corrections}' has reached the bound of {self._bytes // 1_000_000} MB.",
                remedy="Bring it into the data set with `affinage feedback add`, then move it away.",
            )

    def _fits(self, data: bytes, *, alone: bool = False) -> bool:
        """Append to the newest file where it has room, or has to take it; return whether it did."""
        with self._opened() as handle:
            end = _ended(handle)
            held = handle.tell()
            if held and not alone and held + len(data) > self._bytes // FILES:
                return False
            _append(handle, end + data)
        return True

    def _opened(self) -> FileIO:
        try:
            return self._file().open("a+b", buffering=0)
        except (FileNotFoundError, NotADirectoryError):
            make_folder(self.path)
            return self._file().open("a+b", buffering=0)

    def _file(self) -> Path:
        return self.path / f"predictions-{self._number:06d}.jsonl"


def _number(file: Path) -> int:
    digits = file.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 1


def _ended(handle: FileIO) -> bytes:
    """Return what ends a line that a crash has cut."""
    if handle.seek(0, os.SEEK_END) == 0:
        return b""
    handle.seek(-1, os.SEEK_END)
    return b"" if handle.read(1) == b"\n" else b"\n"


def _append(handle: FileIO, data: bytes) -> None:
    """Append all of it, or nothing where there is no room for all."""
    held = handle.seek(0, os.SEEK_END)
    try:
        if handle.write(data) == len(data):
            return
    except OSError:
        handle.truncate(held)
        raise
    handle.truncate(held)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _plain(one: Served) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "at": one.at,
        "image": one.image,
        "name": one.name,
        "bundle": one.bundle,
        "label": one.label,
        "outputs": _exact(one.outputs),
        "measures": _exact(one.measures),
        "features": base64.b64encode(one.features.astype("<f2").tobytes()).decode(),
        "notes": list(one.notes),
    }


def _exact(values: NDArray[np.float32]) -> list[float]:
    """Return numbers in as many digits as tell one float32 from the next.

    In fewer, what ties with the baseline would tie no longer, and a test of ranks would take that for drift.
    """
    return [float(f"{value:.9g}") for value in values.tolist()]


def _served(line: dict[str, Any]) -> Served:
    """Return a line as a record.

    Raises:
        KeyError: If it is not such a line; so do TypeError and ValueError.
    """
    words = {name: line[name] for name in ("at", "image", "name", "bundle", "label")}
    if line["format"] != FORMAT or not all(isinstance(word, str) for word in words.values()):
        raise ValueError(line["format"])
    features = np.frombuffer(base64.b64decode(line["features"], validate=True), dtype="<f2")
    return Served(
        **words,
        outputs=_row(line["outputs"]),
        measures=_row(line["measures"]),
        features=features.astype(np.float16),
        notes=tuple(line["notes"]),
    )


def _row(values: Any) -> NDArray[np.float32]:
    """Return a list of numbers as a row.

    Raises:
        ValueError: If it is none, or one of them is not finite.
    """
    row = np.array(values, dtype=np.float64)
    if row.ndim != 1 or not np.all(np.abs(row) <= np.finfo(np.float32).max):
        raise ValueError(values)
    return row.astype(np.float32)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AffinageError(
            f"The log '{path}' cannot be written: {error.strerror or error}.",
            remedy="Free some room, or give another folder with --log.",
        ) from None
