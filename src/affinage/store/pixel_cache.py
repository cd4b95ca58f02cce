"""Decoded images on disk, by content: read back in a tenth of the time that decoding takes.

Nothing here can fail a training: what is missing, cut off or damaged is decoded again, and a disk
that is full ends the keeping, not the run.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<8sIII12x")  # 32 bytes: what it is, height, width, checksum.
_MAGIC = b"AFFPIX1\n"
_SUFFIX = ".rgb"
_LEFT_BEHIND = 3600.0
"""Seconds after which a file that was never finished belongs to a process that died."""
_RECOUNT = 256
"""Images kept between two counts of what other processes have kept meanwhile."""

_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SYSCONF = hasattr(os, "sysconf")  # Windows has none: 8 GiB are assumed there.

Pixels = NDArray[np.uint8]


class PixelCache:
    """RGB pixels by image id, a file each; all processes that name one root share it.

    A file gets its name when it is whole, so `kill -9` leaves a whole file or an unnamed one, which
    the next user of the root clears away. Files carry their size and a checksum, looked at when a
    process first reads them. The oldest by last use go first when room is needed, but none that
    this object has used: a set of images that does not fit is kept in part, rather than all of it
    read in a circle that is never closed.

    Files are read, not mapped: measured, a read into memory is as fast, and a mapped file that is
    cut off meanwhile ends the process.

    Args:
        root: Folder of decoded images.
        facts: Everything but the image that determines its pixels: versions of the decoder and the
            size they are reduced to.
        limit: Most bytes under `root`, whoever kept them. None: what half of this machine's memory
            holds, since reading from a disk costs more than decoding, and a quarter of the disk.
        tell: Told once, in words, why nothing more is kept.
    """

    def __init__(
        self,
        root: Path,
        facts: dict[str, str],
        *,
        limit: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        text = json.dumps(facts, sort_keys=True)
        self.root = root
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._tell = tell
        self._lock = threading.Lock()
        self._mine: set[str] = set()
        self._bytes = 0
        self._added = 0
        self._count()
        if limit is None:
            limit = min(memory_bytes() // 2, (self._bytes + free_bytes(root)) // 4)
        self.limit = limit
        self._closed = limit <= 0

    @property
    def closed(self) -> bool:
        """True where nothing more is kept; what is there is still read."""
        return self._closed

    def load(self, image: str) -> Pixels | None:
        """Return the pixels of an image, shape (height, width, 3), or None; never wrong ones."""
        path = self._path(image)
        known = image in self._mine
        try:
            pixels = _read(path, check=not known)
            if pixels is None:
                path.unlink()
                return None
            if not known:
                os.utime(path)  # It is in use: the last to go.
        except OSError:
            return None
        with self._lock:
            self._mine.add(image)
        return pixels

    def add(self, image: str, pixels: Pixels) -> None:
        """Keep the pixels of an image if there is room, or can be made.

        Args:
            image: Its id.
            pixels: RGB, shape (height, width, 3).
        """
        size = _HEADER.size + pixels.nbytes
        if self._closed or not self._room_for(size):
            return
        try:
            _write(self._path(image), np.ascontiguousarray(pixels))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else f"{error.strerror or error}"
            self._close(
                f"Decoded images are not kept any more in '{self.root}': {reason}. Nothing is"
                " wrong with the run: images are decoded anew in every epoch."
            )
            return
        with self._lock:
            self._mine.add(image)
            self._bytes += size
            self._added += 1

    def _path(self, image: str) -> Path:
        return self.folder / image[:2] / f"{image}{_SUFFIX}"

    def _close(self, reason: str) -> None:
        with self._lock:
            told, self._closed = self._closed, True
        if not told:
            self._tell(reason)

    def _room_for(self, size: int) -> bool:
        """Return whether so many bytes fit, after the oldest were removed if they did not."""
        with self._lock:
            if self._bytes + size <= self.limit and self._added < _RECOUNT:
                return True
            self._count()
            if self._bytes + size > self.limit:
                self._evict(size)
            fits = self._bytes + size <= self.limit
        if not fits:
            self._close(
                f"{len(self._mine):,} decoded images fill the {_amount(self.limit)} allowed to"
                " them (compute.image_cache); the others are decoded in every epoch."
            )
        return fits

    def _count(self) -> None:
        """Count what lies under the root, and clear away what dead processes left unfinished."""
        self._bytes, self._added = 0, 0
        now = time.time()
        for entry in _files(self.root):
            with contextlib.suppress(OSError):
                facts = entry.stat()
                if entry.name.endswith(_SUFFIX):
                    self._bytes += facts.st_size
                elif entry.name.endswith(".part") and now - facts.st_mtime > _LEFT_BEHIND:
                    Path(entry.path).unlink()

    def _evict(self, size: int) -> None:
        """Remove the oldest files that this object does not use, with a tenth to spare."""
        files = []
        for entry in _files(self.root):
            with contextlib.suppress(OSError):
                if entry.name.endswith(_SUFFIX) and not self._uses(entry):
                    files.append((entry.stat().st_mtime_ns, entry.path, entry.stat().st_size))
        wanted = self.limit - max(size, self.limit // 10)
        for _, path, length in sorted(files):
            if self._bytes <= wanted:
                return
            with contextlib.suppress(OSError):
                Path(path).unlink()
                self._bytes -= length

    def _uses(self, entry: "os.DirEntry[str]") -> bool:
        here = Path(entry.path).parent.parent == self.folder
        return here and entry.name.removesuffix(_SUFFIX) in self._mine


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk of a folder, which need not exist yet, has left."""
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def memory_bytes() -> int:
    """Return the memory of this machine, or of the control group that this process lives in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if _SYSCONF else 8 << 30
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_GROUP_LIMIT.read_text()))
    return total


def _files(root: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield the files two folders under the root."""
    for folder in _entries(root):
        for part in _entries(folder.path):
            yield from _entries(part.path)


def _entries(folder: Path | str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _read(path: Path, *, check: bool) -> Pixels | None:
    """Return the pixels in a file, or None if it is not what was written."""
    with path.open("rb", buffering=0) as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return None
        magic, height, width, checksum = _HEADER.unpack(head)
        if not height or not width:
            return None
        if magic != _MAGIC or os.fstat(file.fileno()).st_size != _HEADER.size + height * width * 3:
            return None
        pixels = np.empty((height, width, 3), dtype=np.uint8)
        if file.readinto(pixels.data.cast("B")) != pixels.nbytes:
            return None
    return None if check and zlib.crc32(pixels.data) != checksum else pixels


def _write(path: Path, pixels: Pixels) -> None:
    """Write a file whole or not at all; not synced, since the checksum tells what a crash cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, *pixels.shape[:2], zlib.crc32(pixels.data)))
            file.write(pixels.data)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _amount(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
