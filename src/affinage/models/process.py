"""Settings of the whole process that must be made before torch is loaded."""

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # malloc.h of glibc.


def tune_allocator() -> bool:
    """Keep the memory of one batch for the next instead of handing it back to the kernel.

    glibc returns blocks over 128 KiB at once, so every batch pays hundreds of thousands of page
    faults; with these three calls forward passes were measured 2.0-3.4 and training steps 1.3-1.8
    times faster on 2 cores. The process holds on to its peak memory in exchange. Set
    `AFFINAGE_MALLOC=system` to leave the allocator alone.

    Returns:
        True where it was done; False elsewhere than on glibc, or when told not to.
    """
    if not sys.platform.startswith("linux") or os.environ.get("AFFINAGE_MALLOC") == "system":
        return False
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        libc.mallopt(_MMAP_MAX, 0)
        return True
    return False


def tune_threads() -> None:
    """Let threads that wait for each other spin for a moment only, then give their processor away.

    By default GNU OpenMP spins so long that two programs on the same cores starve each other: a
    fine-tuning beside another one ran at 5.5 images/s on 2 cores, and at 28 with this, while alone it
    ran at 80 against 84 (docs/log.md). What the user set in the environment is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _affinity() -> frozenset[int]:
    read = getattr(os, "sched_getaffinity", None)
    return frozenset(read(0)) if read else frozenset(range(os.cpu_count() or 1))


_GIVEN = _affinity()
"""Processors given to this process, as they were before torch was loaded."""


def allowed_processors() -> frozenset[int]:
    """Return the processors that this process was given, where torch has widened them since."""
    now = _affinity()
    return now & _GIVEN or now


def keep_to_processors() -> None:
    """Undo that loading torch takes all processors of the machine.

    Measured with torch 2.14: under `taskset -c 0` or in a job of one processor, `import torch` leaves the
    process on all of them. Threads that are started from now on keep to what was given.
    """
    if _affinity() != allowed_processors():
        os.sched_setaffinity(0, allowed_processors())


def usable_cores() -> int:
    """Return how many processors this process may use, by affinity and by cgroup quota."""
    cores = len(allowed_processors())
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max") as file:  # noqa: PTH123
        quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores
