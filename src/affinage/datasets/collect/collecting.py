"""One collection from its table to its manifest, in the folder of a data set."""

import asyncio
import contextlib
import dataclasses
import fcntl
import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from affinage.datasets.collect.addresses import without_password
from affinage.datasets.collect.blocking import Blocklist
from affinage.datasets.collect.download import Download
from affinage.datasets.collect.ledger import Ledger, Reading
from affinage.datasets.collect.limits import Limits
from affinage.datasets.collect.manifest_writing import Written, write_manifest
from affinage.datasets.collect.planning import plan
from affinage.datasets.collect.shelf import (
    FolderShelf,
    ObjectShelf,
    Shelf,
    image_path,
    missing_files,
)
from affinage.datasets.collect.table_rows import open_table
from affinage.errors import DataError

LEDGER, LOCK = "collect.sqlite", ".collect.lock"
"""Names in the data set's folder."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_REASONS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFor:
    """Rows that failed for one reason.

    Attributes:
        reason: Why.
        rows: How many rows.
        examples: Up to two of their addresses, without passwords.
    """

    reason: str
    rows: int
    examples: tuple[str, ...]


class Collecting:
    """A collection at work on its folder, which it alone works on.

    Args:
        folder: The data set's folder.
        target: Where images go, if not into the folder: an address that fsspec knows.
    """

    def __init__(self, folder: Path, target: str | None) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / LEDGER)
        self._same_place(target)
        self._files = FolderShelf(folder)
        self.shelf: Shelf = ObjectShelf(target) if target else self._files
        self._mend()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, target: str | None) -> Iterator["Collecting"]:
        """Work on a folder, and leave it in order.

        Raises:
            DataError: If another process collects into it, or what is there does not fit.
        """
        with _locked(folder):
            work = cls(folder, target)
            try:
                yield work
                work.ledger.remember("at work", "")
                work._files.end()
            finally:
                work.ledger.close()

    def read(
        self, table: Path, *, seed: int, sampled: bool, progress: Callable[[int], None]
    ) -> Reading:
        """Bring the rows of a table into the ledger."""
        return self.ledger.read_table(
            open_table(table), seed=seed, sampled=sampled, progress=progress
        )

    def download(
        self,
        *,
        limits: Limits,
        blocklist: Blocklist,
        per_class: int | None,
        seed: int,
        retry_failed: bool,
        user_agent: str,
        threads: int,
    ) -> "Running":
        """Plan what is fetched, and begin to fetch it in a thread."""
        quota = plan(
            self.ledger, blocklist, per_class=per_class, seed=seed, retry_failed=retry_failed
        )
        stopped = threading.Event()
        download = Download(
            self.ledger, quota, self.shelf, limits=limits, blocklist=blocklist,
            user_agent=user_agent, threads=threads, stopped=stopped,
        )  # fmt: skip
        waiting = "SELECT COUNT(*) FROM rows WHERE state = 'waiting'"
        download.tally.waiting = self.ledger.database.execute(waiting).fetchone()[0]
        return Running(download, stopped)

    def write_manifest(self, file: Path, *, per_class: int | None) -> Written:
        """Write the manifest of all rows, unless it says already what is so."""
        before = json.loads(self.ledger.fact("written") or "null")
        if before is not None and before["is"] == self._traits(file, per_class):
            return Written(**before["said"])
        written = write_manifest(self.ledger, file, root=self.shelf.root, per_class=per_class)
        note = {"is": self._traits(file, per_class), "said": dataclasses.asdict(written)}
        self.ledger.remember("written", json.dumps(note))
        return written

    def _traits(self, file: Path, per_class: int | None) -> list[object]:
        """Return what a manifest that was written last has, and no other file."""
        status = file.stat() if file.exists() else None
        return [self.shelf.root, per_class, status and [status.st_size, status.st_mtime_ns]]

    def failures(self) -> tuple[FailedFor, ...]:
        """Return why rows failed, the most frequent reason first."""
        found = self.ledger.database.execute(
            "SELECT reason, COUNT(*) AS n, MIN(url), MAX(url) FROM rows WHERE state = 'failed'"
            " GROUP BY reason ORDER BY n DESC, reason LIMIT ?",
            (_REASONS,),
        )
        return tuple(
            FailedFor(
                reason=reason,
                rows=rows,
                examples=tuple(without_password(one) for one in dict.fromkeys((low, high)) if one),
            )
            for reason, rows, low, high in found
        )

    def counts(self) -> tuple[int, int]:
        """Return how many rows there are, and how many said again what another said."""
        found = self.ledger.database.execute("SELECT COUNT(*), TOTAL(copies - 1) FROM rows")
        rows, again = found.fetchone()
        return int(rows), int(again)

    def _same_place(self, target: str | None) -> None:
        wanted = (target or "").rstrip("/")
        before = self.ledger.fact("target")
        if before is not None and before != wanted:
            self.ledger.close()
            raise DataError(
                f"The images of '{self.folder}' are in {_place(before)}, not in {_place(wanted)}.",
                remedy=f"Give --target {before}" if before else "Leave --target out.",
            )
        self.ledger.remember("target", wanted)

    def _mend(self) -> None:
        """Clear away what a killed run left; after a power cut, look whether all files are there."""
        ask = "SELECT 1 FROM rows WHERE image = ? LIMIT 1"
        self._files.begin(
            lambda image: self.ledger.database.execute(ask, (image,)).fetchone() is not None
        )
        boot = _BOOT.read_text().strip() if _BOOT.exists() else "unknown"
        before = self.ledger.fact("at work") or ""
        if before not in ("", boot) and self.shelf is self._files:
            self._fetch_again_what_is_lost()
        self.ledger.remember("at work", boot)

    def _fetch_again_what_is_lost(self) -> None:
        database = self.ledger.database
        kept = database.execute(
            "SELECT DISTINCT image, format, bytes FROM rows WHERE image IS NOT NULL"
        )
        files = ((image_path(image, kind), size) for image, kind, size in kept)
        lost = missing_files(self.shelf.root, files)
        if lost:
            self.ledger.forget("written")
        for path in lost:
            name = Path(path).stem
            Path(self.shelf.root, path).unlink(missing_ok=True)
            database.execute(
                "UPDATE rows SET image = NULL, reason = NULL, state ="
                " CASE state WHEN 'kept' THEN 'waiting' ELSE state END WHERE image = ?",
                (name,),
            )


class Running:
    """A download in a thread of its own, so that the caller can show progress and be interrupted.

    Args:
        download: Not begun.
        stopped: What it looks at.
    """

    def __init__(self, download: Download, stopped: threading.Event) -> None:
        self._download = download
        self._stopped = stopped
        self._error: BaseException | None = None
        # Not the thread's own join: Ctrl-C within it marks the thread as ended before Python 3.13.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="download")
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended, after at most some seconds.

        Raises:
            AffinageError: If it ended because something could not be written.
        """
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def stop(self) -> None:
        """End soon, with everything that arrived written down."""
        self._stopped.set()
        self._ended.wait()

    @property
    def download(self) -> Download:
        """What runs."""
        return self._download

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_fast_loop()) as runner:
                runner.run(self._download.run())
        except BaseException as error:  # noqa: BLE001 - Raised again by `wait`.
            self._error = error
        finally:
            self._ended.set()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's way to make a loop where it is installed."""
    try:
        made = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", made)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other collections out of a folder; the lock ends with the process, however it dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(
            f"'{folder}' cannot be written: {error.strerror}.",
            remedy="Choose a folder that you may write to, with --into.",
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                f"Another process is collecting into '{folder}'.",
                remedy="Wait for it, or give another folder with --into.",
            ) from None
        yield
    finally:
        os.close(handle)


def _place(target: str) -> str:
    return f"'{target}'" if target else "the folder itself"
