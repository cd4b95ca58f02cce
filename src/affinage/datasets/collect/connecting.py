"""Connections: kept open and used again, guarded where they are made."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from affinage.datasets.collect.asking import HEADERS
from affinage.datasets.collect.guard import guarded_socket
from affinage.datasets.collect.limits import Limits

_NAME_THREADS = 32


def open_session(limits: Limits, user_agent: str) -> aiohttp.ClientSession:
    """Return a session whose connections are guarded, and which neither unpacks nor keeps cookies.

    Args:
        limits: Times, and whether inner addresses may be connected to.
        user_agent: Who asks.
    """
    connector = aiohttp.TCPConnector(
        limit=0,  # The workers are the limit.
        resolver=_Names(),
        ttl_dns_cache=300,
        socket_factory=partial(guarded_socket, private=limits.private),
        keepalive_timeout=20,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={**HEADERS, "User-Agent": user_agent},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(
            total=limits.total, sock_connect=limits.connect, sock_read=limits.read
        ),
    )


class _Names(AbstractResolver):
    """Looks names up in threads of its own: a name server that says nothing holds up no other work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_NAME_THREADS, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the numeric addresses of a host."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM),
        )
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=kind,
                proto=protocol, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        """Wait for no name that is still looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
