"""What a process was given stays its own when torch is loaded."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
import sys

os.sched_setaffinity(0, {int(sys.argv[1])})
import affinage

assert affinage.env().cores == 1, affinage.env().cores
import torch

print(sorted(os.sched_getaffinity(0)), torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is of Linux")
def test_a_process_keeps_to_the_processors_that_it_was_given():
    one = max(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(one)], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"[{one}]")
