"""Where files are put, named by their content: a folder, or an object store."""

import contextlib
import ctypes
import errno
import importlib
import itertools
import os
import shutil
import threading
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from affinage.errors import AffinageError, DataError

EXTENSIONS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp",
    "ICO": "ico", "JPEG2000": "jp2", "PPM": "ppm", "PCX": "pcx", "TGA": "tga",
}  # fmt: skip
"""Of every format that is decoded."""


def image_path(image: str, kind: str) -> str:
    """Return where an image lies: `images/ab/abcdef….jpg`, of nothing but its content and its format."""
    return f"images/{image[:2]}/{image}.{EXTENSIONS[kind]}"


class Shelf(Protocol):
    """A place for files; `take` may be called by many threads, `settle` by one."""

    root: str

    def take(self, path: str, data: bytes) -> int | None:
        """Keep a file for `settle`, and return its time of change, ns, where there is one."""

    def settle(self, paths: Collection[str]) -> None:
        """Make sure that files are whole at their names, before the ledger says so."""


class FolderShelf:
    """Files in a folder of this machine.

    A file is filled aside, synced, and given its name only when the ledger is about to say that it is
    kept. What is about to be named stands in a list, so that what a killed run has named and not
    entered is found again.

    Args:
        folder: The data set's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root = str(folder.resolve())
        self._aside = f"{self.root}/.incoming"
        self._list = f"{self._aside}/named"
        self._numbers = itertools.count()
        self._staged: dict[str, str] = {}
        self._folders: set[str] = set()
        self._naming = threading.Lock()

    def begin(self, kept: "Kept") -> None:
        """Remove what a killed run has left: files aside, and named ones that the ledger has not.

        Args:
            kept: Tells whether the ledger has an image.
        """
        with contextlib.suppress(FileNotFoundError):
            for line in Path(self._list).read_text(encoding="ascii").splitlines():
                name = line.rpartition("/")[2].partition(".")[0]
                if line == line.strip() and line.startswith("images/") and not kept(name):
                    Path(self.root, line).unlink(missing_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)
        try:
            Path(self._aside).mkdir(parents=True)
        except OSError as error:
            raise _cannot_write(self._aside, error) from None

    def end(self) -> None:
        """Remove the place aside."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def take(self, path: str, data: bytes) -> int | None:
        """Fill a file aside; one that lies at its name already is whole."""
        final = f"{self.root}/{path}"
        there = _changed(final, len(data))
        if there is not None:
            return there
        aside = f"{self._aside}/{next(self._numbers)}"
        try:
            with open(aside, "xb") as file:  # noqa: PTH123
                file.write(data)
        except OSError as error:
            raise _cannot_write(aside, error) from None
        with self._naming:  # The same bytes may arrive twice at once: the first copy gets the name.
            there = _changed(final, len(data))
            first = self._staged.setdefault(path, aside) if there is None else final
            if first != aside:
                os.unlink(aside)  # noqa: PTH108 - strings: once for each image.
            return there or _changed(first, len(data))

    def settle(self, paths: Collection[str]) -> None:
        """Sync the files and give them their names."""
        moves = {path: self._staged[path] for path in sorted(paths) if path in self._staged}
        if not moves:
            return
        try:
            _sync(self._aside, moves.values())
            with open(self._list, "w", encoding="ascii") as names:  # noqa: PTH123
                names.writelines(f"{path}\n" for path in moves)
            for path, aside in moves.items():
                self._make_folder(path)
                with self._naming:
                    os.replace(aside, f"{self.root}/{path}")  # noqa: PTH105 - as above.
                    del self._staged[path]
        except OSError as error:
            raise _cannot_write(self.root, error) from None

    def _make_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            os.makedirs(f"{self.root}/{folder}", exist_ok=True)  # noqa: PTH103
            self._folders.add(folder)


def _changed(file: str, size: int) -> int | None:
    """Return the time of change, ns, of a file of a size; None where there is none."""
    try:
        there = os.stat(file)  # noqa: PTH116 - strings: once for each image, and five times faster.
    except OSError:
        return None
    return there.st_mtime_ns if there.st_size == size else None


class ObjectShelf:
    """Files on an object store through fsspec; a put is whole or it is not there.

    Args:
        address: Such as `s3://bucket/prefix`.

    Raises:
        DataError: If fsspec or what it needs for this store is not installed, or the store is not there.
    """

    def __init__(self, address: str) -> None:
        self.root = address.rstrip("/")
        try:
            fsspec = importlib.import_module("fsspec.core")  # An optional part.
            self._store, self._prefix = fsspec.url_to_fs(self.root)
            self._store.exists(self._prefix)
        except ImportError as error:
            raise DataError(
                f"'{address}' needs a package that is not installed: {error}.",
                remedy='Install it: pip install "affinage[s3]"',
            ) from None
        except Exception as error:  # noqa: BLE001 - Every store has exceptions of its own.
            raise _no_store(address, error) from None

    def take(self, path: str, data: bytes) -> int | None:
        """Put a file."""
        try:
            self._store.pipe_file(f"{self._prefix}/{path}", data)
        except Exception as error:  # noqa: BLE001
            raise _no_store(self.root, error) from None
        return None

    def settle(self, paths: Collection[str]) -> None:
        """Do nothing: what was put is there."""


class Kept(Protocol):
    """Whether the ledger has an image."""

    def __call__(self, image: str, /) -> bool:
        """Return whether some row has it."""


def missing_files(root: str, expected: Iterable[tuple[str, int]]) -> list[str]:
    """Return the paths of files that are not there or have another size.

    Args:
        root: Folder of the shelf.
        expected: Relative path and size, bytes.
    """
    lost = []
    for path, size in expected:
        try:
            whole = os.stat(f"{root}/{path}").st_size == size  # noqa: PTH116
        except OSError:
            whole = False
        if not whole:
            lost.append(path)
    return lost


def _sync(folder: str, files: Iterable[str]) -> None:
    """Have the disk hold files of one folder: in one call where the system has it."""
    sync = getattr(ctypes.CDLL(None), "syncfs", None)
    if sync is not None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            if sync(handle) == 0:
                return
        finally:
            os.close(handle)
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cannot_write(place: str, error: OSError) -> AffinageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AffinageError(
            f"The disk of '{place}' is full.",
            remedy="Free some room, then give the same command again; nothing was damaged.",
        )
    return AffinageError(
        f"'{place}' cannot be written: {error.strerror or error}.",
        remedy="Choose a place that you may write to, with --into.",
    )


def _no_store(address: str, error: Exception) -> DataError:
    why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return DataError(
        f"The store '{address}' cannot be used: {why}.",
        remedy="Check its name, the network, and the credentials of this machine.",
    )
