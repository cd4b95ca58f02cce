"""What keeps one trial from harming a study: limits of time and memory, and a word on a full disk."""

import contextlib
import errno
import resource
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from affinage.errors import AffinageError, RunError
from affinage.workflows.reporter import Reporter

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ROOM = 1_000_000
"""Bytes below which a disk counts as full."""

FREE_PART = 0.9
"""Part of the free memory that one trial may take."""

ALWAYS = 2 * 2**30
"""Bytes that a trial may always take, where nobody sets a limit: others may have filled the memory."""


class TimeUp(RunError):  # noqa: N818 - it is said to people as a reason.
    """A trial has taken longer than it may."""


def check_disk(folder: Path, error: BaseException) -> None:
    """Raise if what went wrong is a full disk: every other trial would fail of it too.

    Raises:
        RunError: That says so.
    """
    full = any(isinstance(one, OSError) and one.errno in FULL for one in (error, error.__context__))
    with contextlib.suppress(OSError):
        full = full or shutil.disk_usage(folder).free < ROOM
    if full:
        raise RunError(
            f"The disk of '{folder}' is full. No trial that has ended is lost.",
            remedy=f"Free some space, then go on: affinage study work {shlex.quote(str(folder))}",
        ) from None


@contextlib.contextmanager
def fits_on_disk(folder: Path) -> Iterator[None]:
    """Say of a full disk what it is, and how a study goes on.

    Raises:
        RunError: If the disk is full.
    """
    try:
        yield
    except (OSError, AffinageError) as error:
        check_disk(folder, error)
        raise


@contextlib.contextmanager
def interruptible(folder: Path, told: Reporter) -> Iterator[None]:
    """Say on Ctrl-C how a study goes on; the interrupt itself passes."""
    try:
        yield
    except KeyboardInterrupt:
        told.say("Interrupted: no trial that has ended is lost.")
        told.say(f"  → Go on: affinage study work {shlex.quote(str(folder))}")
        raise


@contextlib.contextmanager
def limited(*, seconds: float | None, memory: int | None) -> Iterator[None]:
    """Stop what runs inside after so many seconds, or where it asks for more memory than it may.

    For work of Python and NumPy in this process; a training has a process of its own. The time is kept in
    the main thread only, where signals arrive.

    Args:
        seconds: At most; None for no limit.
        memory: Bytes beyond what this process holds now; None for nine tenths of what is free, and 2 GiB
            at least.

    Raises:
        TimeUp: After that time.
        MemoryError: By whoever asked for the memory.
    """
    with _bounded_memory(memory if memory is not None else spare_memory()), _bounded_time(seconds):
        yield


@contextlib.contextmanager
def _bounded_time(seconds: float | None) -> Iterator[None]:
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_: int, __: FrameType | None) -> None:
        raise too_long(seconds)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def too_long(seconds: float) -> TimeUp:
    """Return what is said of a trial that hangs."""
    return TimeUp(
        f"It was stopped: it took more than its {seconds:.3g} s.",
        remedy="Ask again with a greater --trial-limit.",
    )


def too_much(memory: int) -> RunError:
    """Return what is said of a trial that eats the memory."""
    return RunError(
        f"It was stopped: it held more than its {memory / 2**30:.3g} GiB of memory.",
        remedy="Ask again with a greater --trial-memory, or settings that need less.",
    )


@contextlib.contextmanager
def _bounded_memory(memory: int | None) -> Iterator[None]:
    held = _status("VmSize")
    if memory is None or held is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + memory
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def spare_memory() -> int | None:
    """Return what a trial may take beyond what its process holds, bytes; None where nobody can say.

    It is nine tenths of the free memory, and 2 GiB at least.
    """
    free = _line(Path("/proc/meminfo"), "MemAvailable")
    return None if free is None else max(ALWAYS, round(FREE_PART * free))


def held_memory(process: int) -> int | None:
    """Return the memory that a process holds, bytes; None where it cannot be seen."""
    return _line(Path(f"/proc/{process}/status"), "VmRSS")


def _status(name: str) -> int | None:
    return _line(Path("/proc/self/status"), name)


def _line(file: Path, name: str) -> int | None:
    """Return a line `Name:  123 kB` of a file of /proc, bytes."""
    try:
        for line in file.read_text().splitlines():
            key, _, rest = line.partition(":")
            if key == name:
                return 1024 * int(rest.split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return None
