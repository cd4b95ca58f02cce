"""How much memory a training holds."""

import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")


def memory_mb() -> float | None:
    """Return megabytes: of the accelerator where one is in use, else of the process; None where unknown."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
