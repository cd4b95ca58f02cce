"""Whose turn it is: requests of many hosts, fair to each, none held up by another."""

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from yarl import URL

from affinage.datasets.collect.limits import Limits

_SLOW = 2.0  # Seconds: a host that answers later is slow.
_SLOW_SHARE = 0.75  # Of all connections: those of slow and unknown hosts leave the rest free.
_REMEMBERED = 4_096  # Hosts without anything to do whose manners are remembered.


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One address on its way.

    Attributes:
        url: As the table has it.
        address: Its number in the ledger.
        home: Number of its host in the ledger.
        at: Where it is asked for now; another address after a redirect.
        trail: Addresses that led here.
        tries: Requests made so far.
        failed: Answers so far that may pass.
        throttled: Answers so far that said to ask less.
    """

    url: str
    address: int
    home: int
    at: URL
    trail: tuple[URL, ...] = ()
    tries: int = 0
    failed: int = 0
    throttled: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """What is known of one host, and what waits for it.

    Attributes:
        name: Lower case, without port.
        waiting: Jobs that may start.
        active: Requests in the air.
        window: Requests at once that it is trusted with, 1 to the limit.
        troubled: Whether it ever failed: its window then grows slowly.
        resumes: Time before which nothing is asked.
        failures: Connections that failed in a row.
        rests: Rests that it was given without an answer since.
        refusals: Pauses in a row that it asked for, without another answer between them.
        refused_since: Time of the first of them.
        down: Why it was given up; None while it is not.
        answers: Answers of any kind.
        latency: Seconds that its answers take, the last ones counting most; None before the first.
        queued: Whether it stands in a line of hosts whose turn comes.
        pace: Least seconds between two requests.
    """

    name: str
    waiting: deque[Job] = field(default_factory=deque)
    active: int = 0
    window: float = 1.0
    troubled: bool = False
    resumes: float = 0.0
    failures: int = 0
    rests: int = 0
    refusals: int = 0
    refused_since: float = 0.0
    down: str | None = None
    answers: int = 0
    latency: float | None = None
    queued: bool = False
    pace: float = 0.0

    @property
    def slow(self) -> bool:
        """Whether it answers late, or nobody knows yet."""
        return self.latency is None or self.latency > _SLOW


class Turns:
    """Gives jobs to workers: hosts in turn, each within its limit, its pace and its rests.

    A host begins with one connection and gets one more with each answer, up to the limit; one that fails
    loses half of them. So a dead host costs one connection at a time.

    Args:
        limits: Per host and in all.
        clock: Seconds that only grow.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self.hosts: OrderedDict[str, Host] = OrderedDict()
        self._quick: deque[Host] = deque()
        self._slow: deque[Host] = deque()
        self._slow_active = 0
        self._slow_most = max(1, int(limits.concurrency * _SLOW_SHARE))
        self._later: list[tuple[float, int, Host, Job | None]] = []
        self._numbers = itertools.count()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._slow_now: set[Job] = set()

    def host(self, name: str) -> Host:
        """Return a host; one that was not heard of begins anew."""
        host = self.hosts.get(name)
        if host is None:
            if len(self.hosts) >= _REMEMBERED:
                self._forget()
            pace = 1.0 / self._limits.rate if self._limits.rate else 0.0
            host = self.hosts[name] = Host(name=name, pace=pace)
        return host

    def add(self, job: Job, name: str, *, after: float = 0.0, first: bool = False) -> None:
        """Let a job wait for a host, from now or some seconds later, as its last job or its first."""
        host = self.host(name)
        if after > 0:
            self._remind(self._clock() + after, host, job)
            return
        if first:
            host.waiting.appendleft(job)
        else:
            host.waiting.append(job)
        self._line_up(host)

    async def take(self) -> tuple[Host, Job]:
        """Return the next job and its host, as soon as there is one that may start."""
        while True:
            host = self._next()
            if host is not None:
                return host, self._start(host)
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker

    def answered(self, host: Host, job: Job, seconds: float) -> None:
        """Say that a host gave an answer, whatever it was."""
        self._ended(host, job)
        host.answers += 1
        host.failures = host.rests = host.refusals = 0
        host.latency = seconds if host.latency is None else 0.8 * host.latency + 0.2 * seconds
        grow = 1.0 / host.window if host.troubled else 1.0
        host.window = min(float(self._limits.per_host), host.window + grow)
        self._line_up(host)

    def silent(self, host: Host, job: Job, seconds: float, reason: str) -> None:
        """Say that a host gave no answer; after many in a row it rests, then it is given up."""
        self._ended(host, job)
        host.latency = max(seconds, host.latency or 0.0)
        self._shrink(host)
        if not (
            host.rests and self._clock() < host.resumes
        ):  # Sent before the rest: counts as one.
            host.failures += 1
        patience = self._limits.patience if host.answers else (self._limits.patience + 1) // 2
        if host.failures >= patience:
            if host.rests:
                host.down = reason
            else:
                host.rests, host.failures = 1, patience - 2
                self._pause(host, self._limits.rest)
        self._line_up(host)

    def throttled(self, host: Host, job: Job, wait: float, reason: str) -> None:
        """Say that a host asked to be left alone for some seconds; the others go on.

        It is given up where it says nothing else for as long as anyone is waited for, and where it
        was waited for so long and then asks for more than that.
        """
        self._ended(host, job)
        now = self._clock()
        if now >= host.resumes:
            host.refused_since = host.refused_since if host.refusals else now
            host.refusals += 1
            self._shrink(host)
        longest = self._limits.longest_wait
        lasting = host.refusals > self._limits.patience or wait > longest
        if host.refusals > 1 and lasting and now - host.refused_since >= longest:
            host.down = reason
        self._pause(host, min(wait, longest))
        self._line_up(host)

    def wake(self) -> float | None:
        """Start what is due now, and return when something is next; None for never."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            _, _, host, job = heapq.heappop(self._later)
            if job is not None:
                host.waiting.append(job)
            self._line_up(host)
        return self._later[0][0] if self._later else None

    def rests(self) -> list[float]:
        """Return for each host that rests, a second or more, how long it still does; any thread may ask."""
        now = self._clock()
        hosts = list(self.hosts.values())
        return [host.resumes - now for host in hosts if host.waiting and host.resumes > now + 1]

    def withdraw(self, host: Host) -> list[Job]:
        """Return all jobs that wait for a host, and have them wait no more."""
        jobs = list(host.waiting)
        host.waiting.clear()
        jobs += [job for _, _, other, job in self._later if other is host and job is not None]
        self._later = [one for one in self._later if one[2] is not host]
        heapq.heapify(self._later)
        return jobs

    def _next(self) -> Host | None:
        """Return the host whose turn it is; slow ones only while they leave room."""
        while self._quick:
            host = self._quick.popleft()
            host.queued = False
            if self._may_start(host):
                return host
        while self._slow and self._slow_active < self._slow_most:
            host = self._slow.popleft()
            host.queued = False
            if self._may_start(host):
                return host
        return None

    def _start(self, host: Host) -> Job:
        job = host.waiting.popleft()
        host.active += 1
        if host.slow:
            self._slow_now.add(job)
            self._slow_active += 1
        if host.pace:
            host.resumes = self._clock() + host.pace
            self._remind(host.resumes, host, None)
        self._line_up(host)
        return job

    def _ended(self, host: Host, job: Job) -> None:
        host.active -= 1
        if job in self._slow_now:
            self._slow_now.discard(job)
            self._slow_active -= 1
            self._call_one()

    def _may_start(self, host: Host) -> bool:
        return bool(
            host.waiting
            and host.active < int(host.window)
            and host.resumes <= self._clock()
            and host.down is None
        )

    def _line_up(self, host: Host) -> None:
        if not host.queued and self._may_start(host):
            host.queued = True
            (self._slow if host.slow else self._quick).append(host)
            self._call_one()

    def _call_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _pause(self, host: Host, seconds: float) -> None:
        host.resumes = max(host.resumes, self._clock() + seconds)
        self._remind(host.resumes, host, None)

    def _shrink(self, host: Host) -> None:
        host.troubled = True
        host.window = max(1.0, host.window / 2)

    def _remind(self, when: float, host: Host, job: Job | None) -> None:
        heapq.heappush(self._later, (when, next(self._numbers), host, job))

    def _forget(self) -> None:
        """Forget hosts that have nothing to do, the first ones first."""
        busy = {other.name for _, _, other, _ in self._later}
        for name in list(itertools.islice(self.hosts, _REMEMBERED // 2)):
            host = self.hosts[name]
            if not (host.waiting or host.active or host.queued or name in busy):
                del self.hosts[name]
