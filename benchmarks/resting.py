"""Peers rest while others are measured: a loader that reads ahead would take processors from the next.

Measured without: of two cores our first pass after DALI's had 1.55, the second on the same files 1.87.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def awake(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a peer, the leader of its process group, and all that it started run inside the block only."""
    os.killpg(process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGSTOP)


def end(process: subprocess.Popen[str]) -> None:
    """End a peer, whether it rests or not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    assert process.stdin is not None
    process.stdin.close()
    process.terminate()
    process.wait(30)
