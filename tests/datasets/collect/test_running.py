"""A download in a thread, interrupted as a terminal interrupts it."""

import asyncio
import os
import signal
import threading
from typing import cast

import pytest

from affinage.datasets.collect.collecting import Running
from affinage.datasets.collect.download import Download


class Slow:
    """Needs a while after it was told to stop, to write down what arrived."""

    def __init__(self, stopped):
        self.stopped, self.wrote_down = stopped, False

    async def run(self):
        while not self.stopped.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        self.wrote_down = True


def test_after_ctrl_c_nothing_is_read_before_the_download_has_written_down_what_arrived():
    stopped = threading.Event()
    slow = Slow(stopped)
    running = Running(cast("Download", slow), stopped)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # Some runners ignore it.
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        running.wait(5)
    signal.signal(signal.SIGINT, before)
    running.stop()
    assert slow.wrote_down


def test_an_error_of_the_download_is_raised_where_it_is_waited_for():
    class Failing:
        async def run(self):
            raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        Running(cast("Download", Failing()), threading.Event()).wait(5)
