"""Run as a process of its own: open a bundle, predict, and print the most memory held, MB."""

import sys
from pathlib import Path

import numpy as np

from affinage.bundle.reader import open_bundle


def main() -> None:
    """Print the peak of this process, MB; nothing where the system does not tell."""
    reader = open_bundle(Path(sys.argv[1]), threads=1, verify=False)
    frame = np.full((480, 640, 3), 127, dtype=np.uint8)
    for _ in range(8):
        reader.predict(frame)
    peak = _peak()
    if peak is not None:
        print(peak / 1e6)


def _peak() -> float | None:
    """Return the most memory that this process held, bytes; None where the system does not tell.

    Linux's own table is asked first: `getrusage` counts what the parent held at the fork too.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * float(line.split()[1])
    try:
        import resource  # noqa: PLC0415 - not on every system.
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    main()
