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


def usable_cores() -> int:
    """Return how many processors this process may use, by affinity and by cgroup quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max") as file:  # noqa: PTH123
        quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores
