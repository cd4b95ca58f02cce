"""Images that wait for an answer, computed a few at a time; never more than may wait."""

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from affinage.errors import AffinageError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_STOP = None

TOGETHER = 4
"""Images that are handed over together where the queue is long."""


class Busy(AffinageError):  # noqa: N818 - it is a state, not an error of anyone's.
    """As many images wait as may; `seconds` says when to try again."""

    def __init__(self, waiting: int, seconds: int) -> None:
        super().__init__(
            f"{waiting} images are waiting already.", remedy=f"Try again in {seconds} s."
        )
        self.seconds = seconds


@dataclass(slots=True)
class _Job(Generic[Asked, Answer]):
    asked: Asked
    future: "Future[Answer]" = field(default_factory=Future)


class Batcher(Generic[Asked, Answer]):
    """Threads that take what waits, up to a batch, and answer it.

    An image that finds an idle thread is computed at once; under load, those that have gathered
    meanwhile are taken together. So batches grow with the load, and latency is paid for nothing.

    Where computing several at once gains nothing (`batch` is 1), a thread that finds a long queue still takes
    up to `TOGETHER`: waking a thread, and then the one that sends answers, costs as much for one
    image as for four, and leaves the processor's caches cold. Never more than half of its share of what
    waits, so that the first is held up for less than it waited anyway.

    Args:
        answer: From a batch to one answer or one exception for each; called in `threads` threads.
        threads: That compute.
        batch: Images that are computed at a time, at most.
        waiting: Images that may wait or be computed.
        linger: How long a thread waits for a batch to fill, seconds.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]],
        *,
        threads: int,
        batch: int,
        waiting: int,
        linger: float = 0.0,
    ) -> None:
        self._answer, self._batch, self._most, self._linger = answer, batch, waiting, linger
        self._jobs: queue.SimpleQueue[_Job[Asked, Answer] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting, self._closed = 0, False
        self._seconds = 0.05  # Of one image, as it took lately; a guess until one was answered.
        self._count = max(1, threads)
        self._threads = [
            threading.Thread(target=self._work, name=f"affinage-serving-{number}", daemon=True)
            for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Images that wait or are being computed."""
        return self._waiting

    def submit(self, asked: Sequence[Asked]) -> "list[Future[Answer]]":
        """Let some images wait for their answers, all of them or none.

        Raises:
            Busy: If there is no room for all of them.
        """
        jobs: list[_Job[Asked, Answer]] = [_Job(one) for one in asked]
        with self._lock:
            if self._closed or self._waiting + len(jobs) > self._most:
                raise Busy(self._waiting, self.retry_after())
            self._waiting += len(jobs)
            for job in jobs:
                self._jobs.put(job)
        return [job.future for job in jobs]

    def retry_after(self) -> int:
        """Return after how many whole seconds half of what waits will be answered, 1 to 60."""
        seconds = self._waiting * self._seconds / self._count / 2
        return max(1, min(60, math.ceil(seconds)))

    def close(self) -> None:
        """Take no more images, answer those that wait, and end the threads."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in self._threads:
                self._jobs.put(_STOP)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            jobs, last = self._take()
            live = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if live:
                self._settle(live)
            with self._lock:
                self._waiting -= len(jobs)
            if last:
                return

    def _take(self) -> tuple[list[_Job[Asked, Answer]], bool]:
        """Return a batch, and whether it is this thread's last."""
        first = self._jobs.get()
        if first is None:
            return [], True
        jobs, until = [first], time.monotonic() + self._linger
        while len(jobs) < self._share():
            left = until - time.monotonic()
            try:
                job = self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _share(self) -> int:
        """Return how many a thread may take of its share of what waits, so that no other one idles."""
        waiting = self._waiting
        share = min(self._batch, math.ceil(waiting / self._count))
        return max(1, share, min(TOGETHER, waiting // (2 * self._count)))

    def _settle(self, jobs: list[_Job[Asked, Answer]]) -> None:
        start = time.monotonic()
        answers: Sequence[Answer | Exception]
        try:
            answers = self._answer([job.asked for job in jobs])
        except Exception as error:  # noqa: BLE001 - A thread that dies would leave requests unanswered.
            answers = [error] * len(jobs)
        taken = (time.monotonic() - start) / len(jobs)
        self._seconds += 0.1 * (taken - self._seconds)
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Exception):
                job.future.set_exception(answer)
            else:
                job.future.set_result(answer)
