"""Large blocks go back to the system as soon as they are free: memory does not creep up."""

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc.
_LARGE, _ARENAS = 1 << 20, 2


def give_back() -> bool:
    """Let blocks from 1 MiB on be mapped one by one, and small ones share two arenas.

    Left to itself, glibc raises that threshold to the largest block that was ever freed, up to 32 MiB: bodies
    and pixels of large uploads then lie among small blocks, each thread in an arena of its own, and what
    is free between them is held. `AFFINAGE_MALLOC=system` leaves the allocator alone.

    Returns:
        True where it was done; False elsewhere than on glibc, or when told not to.

    Source:
        mallopt(3), M_MMAP_THRESHOLD and M_ARENA_MAX.
    """
    if not sys.platform.startswith("linux") or os.environ.get("AFFINAGE_MALLOC") == "system":
        return False
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        settings = {_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: 8 * _LARGE, _ARENA_MAX: _ARENAS}
        done = [libc.mallopt(name, value) for name, value in settings.items()]
        return all(done)
    return False
