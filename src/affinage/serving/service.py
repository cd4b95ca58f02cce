"""A server at work: its threads, its bundle, its bounds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from affinage.errors import AffinageError
from affinage.serving.answering import Answered, Answerer, Loaded, Upload
from affinage.serving.batching import Batcher, Busy
from affinage.serving.bodies import Intake, Refused
from affinage.serving.counters import Counters
from affinage.serving.guarding import Guard
from affinage.serving.limits import Limits


class Keeper(Protocol):
    """What keeps the log and judges it; the workflow gives one."""

    def heard(self, uploads: Sequence[Upload], answers: Sequence[Answered]) -> None:
        """Take what was answered; called in the threads that compute, must not raise."""

    def correct(self, image: str, name: str, said: str, label: str, at: str) -> None:
        """Keep what a person says of an image."""

    def drift(self) -> dict[str, Any]:
        """Return what the last window showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server is made of.

    Attributes:
        first: The bundle that it begins with.
        load: Opens the bundle anew, for an exchange.
        keeper: Keeps the log.
        counters: For Prometheus.
        limits: Bounds.
        guard: Who may ask.
        threads: That compute.
        fetch: From an address to the bytes of a file; None where addresses are not asked.
        say: Told what came of a signal, which nobody is answered on.
    """

    first: Loaded
    load: Callable[[], Loaded]
    keeper: Keeper
    counters: Counters
    limits: Limits
    guard: Guard
    threads: int
    fetch: Callable[[str], Awaitable[bytes]] | None = None
    say: Callable[[str], None] = lambda _: None


class Service:
    """A server at work: its threads, its bundle, its bounds.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts, self.intake = parts, Intake(parts.limits)
        self.answerer = Answerer(parts.first, parts.limits, self._heard)
        self.batcher: Batcher[Upload, Answered] = Batcher(
            self.answerer,
            threads=parts.threads,
            batch=parts.limits.batch,
            waiting=parts.limits.waiting,
            linger=parts.limits.linger_ms / 1000,
        )
        self.ready = True
        self._exchanging = asyncio.Lock()
        self._name()

    async def predict(self, request: Request, address: str | None) -> list[Answered]:
        """Return an answer for each image of a request.

        Raises:
            Refused: If it cannot be answered.
        """
        self._admit()
        if address is None:
            uploads = await self.intake.uploads(request)
        else:
            uploads = [await self._fetched(address)]
        size = self.intake.hold(uploads)
        try:
            return await self._computed(uploads)
        finally:
            self.intake.release(size)

    async def exchange(self) -> Loaded:
        """Serve the bundle as it lies there now.

        Raises:
            AffinageError: If it cannot be opened; the one before is served on.
        """
        async with self._exchanging:
            try:
                loaded = await run_in_threadpool(self.parts.load)
            except AffinageError:
                self.parts.counters.exchanges.labels("failed").inc()
                raise
            self.answerer.exchange(loaded)
            self.parts.counters.exchanges.labels("done").inc()
            self._name()
            return loaded

    def close(self) -> None:
        """Answer what waits, then end the threads."""
        self.ready = False
        self.batcher.close()

    def _admit(self) -> None:
        """Refuse before a body is read where its image could not wait."""
        if self.batcher.waiting >= self.parts.limits.waiting:
            raise Refused(503, "The server is busy.", seconds=self.batcher.retry_after())

    async def _computed(self, uploads: list[Upload]) -> list[Answered]:
        try:
            futures = self.batcher.submit(uploads)
        except Busy as busy:
            raise Refused(503, busy.problem, seconds=busy.seconds) from None
        try:
            async with asyncio.timeout(self.parts.limits.seconds):
                # One after the other: the last to be there is waited for either way.
                return [await asyncio.wrap_future(future) for future in futures]
        except TimeoutError:
            _give_up(futures)
            raise Refused(
                503,
                f"No answer within {self.parts.limits.seconds:g} s.",
                seconds=self.batcher.retry_after(),
            ) from None

    async def _fetched(self, address: str) -> Upload:
        if self.parts.fetch is None:
            raise Refused(403, "This server does not fetch addresses: send the image itself.")
        try:
            async with asyncio.timeout(self.parts.limits.seconds):
                data = await self.parts.fetch(address)
        except TimeoutError:
            raise Refused(504, "The address did not answer in time.") from None
        except AffinageError as error:
            raise Refused(400, error.problem) from None
        return Upload(name=address, data=data)

    def _heard(self, uploads: Sequence[Upload], answers: Sequence[Answered]) -> None:
        counters = self.parts.counters
        counters.batch.observe(len(answers))
        for answer in answers:
            said = answer.prediction
            counters.images.labels("answered" if said.answered else "unreadable").inc()
            if said.label is not None:
                counters.label(said.label)
                counters.confidence.observe(said.confidence or 0.0)
        self.parts.keeper.heard(uploads, answers)

    def _name(self) -> None:
        loaded = self.answerer.loaded
        self.parts.counters.bundle.clear()
        self.parts.counters.bundle.labels(loaded.name, loaded.identity[:12]).set(1)


def _give_up(futures: "list[Future[Answered]]") -> None:
    for future in futures:
        future.cancel()
