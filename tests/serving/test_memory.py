import subprocess
import sys

import pytest

CODE = """
import sys
from affinage.serving.memory import give_back
if not give_back():
    sys.exit(3)

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def blocks(size):
    made = [bytearray(size) for _ in range(8)]
    for one in made:
        one[::4096] = b"x" * len(one[::4096])
    return made

first = held()
kept = []
for size in (19_000_000, 3_000_000, 24_000_000):
    large = blocks(size)
    kept.append(bytearray(2000))  # Small, and behind the large ones.
    del large
print(held() - first)
"""


def test_large_blocks_go_back_to_the_system_whatever_is_allocated_after_them():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("not glibc")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8_000_000
