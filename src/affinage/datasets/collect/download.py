"""The download: workers that ask, a house-keeper that feeds them and writes down what ended."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from affinage.datasets.collect.addresses import host_of, read_address
from affinage.datasets.collect.asking import Asker, Body, Failure, Moved
from affinage.datasets.collect.blocking import Blocklist
from affinage.datasets.collect.connecting import open_session
from affinage.datasets.collect.intake import Intake, Parcel
from affinage.datasets.collect.ledger import Ledger
from affinage.datasets.collect.limits import Limits
from affinage.datasets.collect.planning import Quota
from affinage.datasets.collect.robots import Robots
from affinage.datasets.collect.settling import (
    Ending,
    Waiting,
    give_up,
    next_addresses,
    next_hosts,
    settle,
)
from affinage.datasets.collect.shelf import Shelf, image_path
from affinage.datasets.collect.tally import Standing, Tally
from affinage.datasets.collect.turns import Host, Job, Turns

_TICK = 0.02  # Seconds between two rounds of the house-keeper.
_HOMES = 512  # Hosts of the ledger that are worked on at once.
_IN_MEMORY = 8_000  # Addresses in memory, over all hosts.
_BACKLOG = 64_000_000  # Bytes that may wait to be decoded before no more is asked for.
_BATCH = 500  # Endings that are written down at once, or
_PATIENCE = 0.3  # seconds after which fewer are.
_UNWRITTEN = 4_096  # Endings that may wait for the ledger before no more is asked for.
_OFTEN_ENOUGH = 10  # Times that one address may be told to come later.

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class _Home:
    """A host of the ledger that is worked on.

    Attributes:
        name: Of the host.
        flying: Its addresses that are in memory.
        dry: Whether the ledger has no more of it.
    """

    name: str
    flying: set[int] = field(default_factory=set)
    dry: bool = False


class Download:
    """Fetches what waits in a ledger until nothing does, or until it is stopped.

    Memory is bounded by the limits, not by the rows. The ledger is used in one thread of its own;
    images are decoded in others; the event loop only asks.

    Args:
        ledger: Planned; nobody else uses it while this runs.
        quota: Of each class.
        shelf: Where files go.
        limits: How much at once.
        blocklist: Redirects to these are not followed.
        user_agent: Sent with every request.
        threads: How many decode.
        stopped: Set from another thread to end soon, with everything that arrived written down.
    """

    def __init__(
        self,
        ledger: Ledger,
        quota: Quota,
        shelf: Shelf,
        *,
        limits: Limits,
        blocklist: Blocklist,
        user_agent: str,
        threads: int,
        stopped: threading.Event,
    ) -> None:
        self._ledger = ledger
        self._quota = quota
        self._shelf = shelf
        self._limits = limits
        self._blocklist = blocklist
        self._user_agent = user_agent
        self._threads = threads
        self._stopped = stopped
        self._homes: dict[int, _Home] = {}
        self._flying: dict[int, int] = {}  # Which home each address in memory belongs to.
        self._settled = 0.0
        self._listed = 0
        self._listing = True
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._chance = random.Random()  # noqa: S311 - Jitter; nothing that is kept depends on it.
        self._clock = time.monotonic
        self._turns = Turns(limits, self._clock)
        self.tally = Tally()

    def standing(self) -> Standing:
        """Return how it is going; any thread may ask."""
        hosts = [host for host in list(self._turns.hosts.values()) if host.latency is not None]
        slow = sorted(hosts, key=lambda host: -(host.latency or 0.0))[:3]
        slowest = [(host.name, host.latency or 0.0) for host in slow]
        return self.tally.standing(slowest=slowest, rests=self._turns.rests())

    async def run(self) -> None:
        """Fetch.

        Raises:
            AffinageError: If files or the ledger cannot be written; what was written stays good.
        """
        loop = asyncio.get_running_loop()
        self._intake = Intake(self._shelf, threads=self._threads, max_bytes=self._limits.max_bytes)
        async with open_session(self._limits, self._user_agent) as session:
            self._asker = Asker(session, self._limits)
            self._robots = Robots(self._asker, "affinage") if self._limits.robots else None
            workers = [asyncio.create_task(self._work()) for _ in range(self._limits.concurrency)]
            try:
                await self._keep_house(workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                await loop.run_in_executor(None, self._intake.finish)
        try:
            self._settled = 0.0
            if self._intake.error is None:
                await self._settle()
        finally:
            self._scribe.shutdown()
        if self._intake.error is not None:
            raise self._intake.error

    # The house-keeper.

    async def _keep_house(self, workers: list[asyncio.Task[None]]) -> None:
        while not self._stopped.is_set():
            if self._intake.error is not None:
                raise self._intake.error
            for worker in workers:
                if worker.done():
                    worker.result()
            self._turns.wake()
            await self._settle()
            await self._give_up_those_down()
            await self._feed()
            if not self._homes and not self._listing:
                if not await self._in_ledger(lambda: next_hosts(self._ledger, after=0, most=1)):
                    return
                self._listing = True
            await asyncio.sleep(_TICK)

    async def _settle(self) -> None:
        """Write down what ended, files first, then the ledger; a batch at a time, for each costs a sync."""
        count, now = len(self._intake.endings), self._clock()
        nothing_else = count >= len(self._flying)
        if not count or not (nothing_else or count >= _BATCH or now - self._settled >= _PATIENCE):
            return
        self._settled = now
        endings = [self._intake.endings.popleft() for _ in range(count)]
        drawn = await self._in_ledger(lambda: self._write(endings))
        if drawn:
            self._listing = True
            for home in self._homes.values():
                home.dry = False
        self.tally.waiting += drawn
        self.tally.count((ending.reason for ending in endings), self._clock())
        for ending in endings:
            place = self._homes.get(self._flying.pop(ending.address, -1))
            if place is not None:
                place.flying.discard(ending.address)

    def _write(self, endings: list[Ending]) -> int:
        images = [ending.image for ending in endings if ending.image is not None]
        self._shelf.settle({image_path(image.id, image.format) for image in images})
        return settle(self._ledger, self._quota, endings)

    async def _feed(self) -> None:
        """Bring waiting addresses into memory, and hosts that have any."""
        for number in [one for one, home in self._homes.items() if home.dry and not home.flying]:
            del self._homes[number]
        page = max(2 * self._limits.per_host, min(1_024, _IN_MEMORY // max(1, len(self._homes))))
        hungry = {
            number: home
            for number, home in self._homes.items()
            if not home.dry and len(home.flying) <= page // 2
        }
        room = _HOMES - len(self._homes) if self._listing else 0
        if not hungry and not room:
            return
        pages, hosts = await self._in_ledger(lambda: self._look_up(hungry, page, room))
        for number, waiting in pages.items():
            self._enqueue(number, self._homes[number], waiting)
        for number, name in hosts:
            self._homes[number] = _Home(name=name)

    def _look_up(
        self, hungry: dict[int, _Home], page: int, room: int
    ) -> tuple[dict[int, list[Waiting]], list[tuple[int, str]]]:
        pages = {
            number: next_addresses(
                self._ledger, self._quota, number,
                most=len(home.flying) + page, flying=home.flying,
            )
            for number, home in hungry.items()
        }  # fmt: skip
        hosts: list[tuple[int, str]] = []
        if room > 0:
            found = next_hosts(self._ledger, after=self._listed, most=room)
            self._listing = len(found) == room
            self._listed = found[-1][0] if self._listing else 0
            hosts = [(number, name) for number, name in found if number not in self._homes]
        return pages, hosts

    def _enqueue(self, number: int, home: _Home, waiting: list[Waiting]) -> None:
        home.dry = not waiting
        for one in waiting:
            home.flying.add(one.address)
            self._flying[one.address] = number
            job = Job(url=one.url, address=one.address, home=number, at=read_address(one.url))
            self._turns.add(job, home.name)

    async def _give_up_those_down(self) -> None:
        """End what waits for hosts that were given up, in memory and in the ledger."""
        down = [host for host in self._turns.hosts.values() if host.down is not None]
        for host in down:
            reason = f"its host was given up: {host.down}"
            for job in self._turns.withdraw(host):
                self._fail(job, reason)
            for number, home in list(self._homes.items()):
                if home.name == host.name and not home.dry:
                    flying = set(home.flying)
                    await self._in_ledger(
                        lambda number=number, flying=flying, reason=reason: give_up(  # type: ignore[misc]
                            self._ledger, self._quota, number, reason, flying
                        )
                    )
                    home.dry = True

    async def _in_ledger(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._scribe, work)

    # The workers.

    async def _work(self) -> None:
        while True:
            while self._intake.bytes_waiting > _BACKLOG or len(self._intake.endings) > _UNWRITTEN:
                await asyncio.sleep(_TICK)
            host, job = await self._turns.take()
            await self._fetch(host, job)

    async def _fetch(self, host: Host, job: Job) -> None:
        """Ask once, and let what was answered decide what is next."""
        began = self._clock()
        forbidden = await self._robots.reason(job.at) if self._robots is not None else None
        if forbidden is not None:
            self._turns.answered(host, job, self._clock() - began)
            self._fail(job, forbidden)
            return
        job.tries += 1
        answer = await self._asker.ask(job.at)
        seconds = self._clock() - began
        if isinstance(answer, Failure):
            self._failed(host, job, answer, seconds)
            return
        self._turns.answered(host, job, seconds)
        if isinstance(answer, Body):
            self._intake.give(
                Parcel(
                    url=job.url, address=job.address, tries=job.tries,
                    body=answer.data, encoding=answer.encoding,
                )
            )  # fmt: skip
        else:
            self._follow(job, answer)

    def _failed(self, host: Host, job: Job, failure: Failure, seconds: float) -> None:
        """Try again later where that may help; else that is the end of it."""
        if failure.throttled:
            job.throttled += 1
            wait = failure.wait
            if wait is None:
                wait = self._jittered(2.0 ** min(job.throttled, 6))
            self._turns.throttled(host, job, wait, failure.reason)
            again = job.throttled <= _OFTEN_ENOUGH
        else:
            if failure.reached:
                self._turns.answered(host, job, seconds)
            else:
                self._turns.silent(host, job, seconds, failure.reason)
            job.failed += 1
            again = failure.passing and job.failed <= self._limits.retries
        if not again:
            where = "redirected to a place that cannot be asked: " if failure.refused else ""
            self._fail(job, f"{where if job.trail else ''}{failure.reason}")
        elif failure.throttled:
            self._turns.add(job, host.name, first=True)
        else:
            wait = self._jittered(self._limits.backoff * 2.0 ** (job.failed - 1))
            self._turns.add(job, host.name, after=wait)

    def _jittered(self, seconds: float) -> float:
        return seconds * self._chance.uniform(0.5, 1.0)

    def _follow(self, job: Job, moved: Moved) -> None:
        """Have the place that a redirect leads to asked in its own host's turn."""
        trail = (*job.trail, job.at)
        try:
            to = read_address(str(moved.to.with_fragment(None)))
        except ValueError as error:
            return self._fail(job, f"redirected to {error}")
        if to in trail:
            return self._fail(job, "redirected in a circle")
        if len(trail) > self._limits.redirects:
            return self._fail(job, f"more than {self._limits.redirects} redirects")
        blocked = self._blocklist.reason(to)
        if blocked is not None:
            return self._fail(job, f"{blocked}, where a redirect led", blocked=True)
        return self._turns.add(replace(job, at=to, trail=trail), host_of(to))

    def _fail(self, job: Job, reason: str, *, blocked: bool = False) -> None:
        self._intake.endings.append(
            Ending(
                url=job.url, address=job.address, tries=job.tries, reason=reason, blocked=blocked
            )
        )
