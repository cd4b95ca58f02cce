import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from affinage.store import pixel_cache
from affinage.store.pixel_cache import PixelCache, free_bytes, memory_bytes

FACTS = {"decoder": "1", "side": "384"}
SIZE = 40 * 30 * 3 + 32


def pixels(seed=0, height=40, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def name(number):
    return f"{number:02x}" * 32


def files(root):
    return sorted(root.rglob("*.rgb"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "decoded"


def filled(root, numbers, **options):
    cache = PixelCache(root, FACTS, **{"limit": 10**9, **options})
    for number in numbers:
        cache.add(name(number), pixels(number))
    return cache


def test_what_was_kept_is_read_by_another(root):
    filled(root, range(3))
    cache = PixelCache(root, FACTS, limit=10**9)
    for number in range(3):
        assert np.array_equal(cache.load(name(number)), pixels(number))
        assert cache.load(name(number)).flags.writeable  # A change of the user's own may write.
    assert cache.load(name(9)) is None


def test_a_decoder_of_another_version_keeps_apart(root):
    filled(root, [1])
    assert PixelCache(root, {**FACTS, "decoder": "2"}, limit=10**9).load(name(1)) is None


def test_rows_that_are_not_contiguous_are_kept_as_they_look(root):
    cache = filled(root, [])
    turned = pixels()[::-1, ::2]
    cache.add(name(1), turned)
    assert np.array_equal(cache.load(name(1)), turned)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:20],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data[:200] + bytes(64) + data[264:],
        lambda data: bytes(len(data)),
        lambda data: data[:8] + bytes(8) + data[16:32],
        lambda data: data[:8] + b"\xff" * 8 + data[16:],
    ],
)
def test_a_damaged_file_is_removed_and_never_shown(root, damage):
    filled(root, [1])
    (path,) = files(root)
    path.write_bytes(damage(path.read_bytes()))
    cache = PixelCache(root, FACTS, limit=10**9)
    assert cache.load(name(1)) is None
    assert not files(root)
    cache.add(name(1), pixels(1))
    assert np.array_equal(cache.load(name(1)), pixels(1))


def test_a_file_cut_off_after_it_was_checked_is_not_shown(root):
    cache = filled(root, [1])
    assert cache.load(name(1)) is not None
    (path,) = files(root)
    path.write_bytes(path.read_bytes()[:100])
    assert cache.load(name(1)) is None


def test_bytes_never_pass_the_limit_and_the_oldest_go_first(root):
    filled(root, range(4))
    for number, path in enumerate(files(root)):
        os.utime(path, (1000 + number, 1000 + number))
    limit = 5 * SIZE
    cache = PixelCache(root, FACTS, limit=limit)
    cache.load(name(0))  # The oldest by its file, but in use.
    for number in range(10, 13):
        cache.add(name(number), pixels(number))
        assert sum(path.stat().st_size for path in files(root)) <= limit
    left = {path.stem for path in files(root)}
    assert {name(0), name(10), name(11), name(12)} <= left
    assert name(1) not in left


def test_a_set_that_does_not_fit_is_kept_in_part_and_said_so_once(root):
    told = []
    cache = filled(root, range(9), limit=4 * SIZE, tell=told.append)
    assert cache.closed
    assert [cache.load(name(number)) is not None for number in range(9)] == [True] * 4 + [False] * 5
    assert len(told) == 1
    assert "4 decoded images fill" in told[0]
    assert "compute.image_cache" in told[0]


def test_a_limit_of_nothing_keeps_nothing(root):
    filled(root, range(3), limit=0)
    assert not files(root)


def test_a_full_disk_ends_the_keeping_and_not_the_run(root, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    told = []
    cache = filled(root, [1], tell=told.append)
    monkeypatch.setattr(pixel_cache, "_write", full)
    cache.add(name(2), pixels(2))
    cache.add(name(3), pixels(3))
    assert len(told) == 1
    assert "disk is full" in told[0]
    assert np.array_equal(cache.load(name(1)), pixels(1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_write_that_fails_in_the_middle_leaves_nothing(root, monkeypatch):
    cache = filled(root, [])
    real = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda handle, mode: _full_file(real, handle, mode))
    cache.add(name(1), pixels())
    assert cache.closed
    assert not [path for path in root.rglob("*") if path.is_file()]


def _full_file(real, handle, mode):
    os.close(handle)
    return Path("/dev/full").open(mode, buffering=0)


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path):
    told = []
    (tmp_path / "decoded").write_text("a file, not a folder")
    cache = PixelCache(tmp_path / "decoded", FACTS, limit=10**9, tell=told.append)
    cache.add(name(1), pixels())
    assert len(told) == 1
    assert cache.load(name(1)) is None


def test_what_a_dead_process_left_is_cleared_and_what_a_living_one_writes_is_not(root):
    filled(root, [1])
    folder = files(root)[0].parent
    old, young = folder / ".x.part", folder / ".y.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    PixelCache(root, FACTS, limit=10**9)
    assert not old.exists()
    assert young.exists()


def test_two_caches_at_once_hand_each_other_their_images(root):
    first, second = filled(root, [1]), filled(root, [2])
    assert np.array_equal(first.load(name(2)), pixels(2))
    assert np.array_equal(second.load(name(1)), pixels(1))


def test_a_file_that_another_process_evicted_is_missing_not_an_error(root):
    cache = filled(root, [1])
    files(root)[0].unlink()
    assert cache.load(name(1)) is None
    cache.add(name(1), pixels(1))
    assert np.array_equal(cache.load(name(1)), pixels(1))


WRITER = """
import sys
import numpy as np
from pathlib import Path
from affinage.store.pixel_cache import PixelCache
cache = PixelCache(Path(sys.argv[1]), {"decoder": "1", "side": "384"}, limit=10**9)
print("on", flush=True)
for number in range(10**6):
    picture = np.full((300, 400, 3), number % 251, np.uint8)
    cache.add(f"{number % 50:02x}" * 32, picture)
"""


def test_killed_while_it_writes_it_leaves_only_whole_files(root):
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"on\n"
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    found = files(root)
    assert found
    cache = PixelCache(root, FACTS, limit=10**9)
    for path in found:
        shown = cache.load(path.stem)
        assert shown is not None
        assert (shown == shown[0, 0, 0]).all()


def test_room_and_memory_are_measured(tmp_path):
    assert free_bytes(tmp_path / "not" / "there") > 0
    assert memory_bytes() > 2**28
