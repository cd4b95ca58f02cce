"""The application on a socket: patient with no one, and gone without leaving a request unanswered."""

import asyncio
import signal
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from affinage.errors import AffinageError

CONNECTIONS = 512
"""Connections at a time; one more is answered 503 by the protocol itself."""

HEAD_SECONDS, IDLE_SECONDS = 10, 15
"""How long a connection may take to send the head of its first request, and be idle between two."""


class Impatient(H11Protocol):
    """HTTP that closes a connection which does not ask anything."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the head of a request."""
        super().connection_made(transport)
        self._patience = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._lose_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._patience.cancel()
        super().connection_lost(exc)

    def _lose_patience(self) -> None:
        asked = getattr(self, "cycle", None) is not None
        if not asked and not self.transport.is_closing():  # No head has arrived.
            self.transport.abort()


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, so that its address can be told before anyone is answered.

    Args:
        host: Name or address to listen at.
        port: 0 to 65535; 0 takes any that is free.

    Raises:
        AffinageError: If there is no such address here, or the port is taken.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, number)
    except OSError as error:
        raise _deaf(host, port, error) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _deaf(host, port, error) from None
    return bound


def launch(app: FastAPI, *, at: socket.socket, grace: float) -> None:
    """Serve until interrupted; then answer what was accepted, for at most `grace` seconds.

    Args:
        app: From `create_app`.
        at: From `listening`; closed at the end.
        grace: Seconds.
    """
    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(grace)),
        h11_max_incomplete_event_size=32_768,
    )
    server = uvicorn.Server(config)
    # uvicorn sends itself the signal again once all is answered: then it is the end, not a failure.
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[at])
    finally:
        at.close()
        for one, handler in before.items():
            signal.signal(one, handler)


def _deaf(host: str, port: int, error: OSError) -> AffinageError:
    return AffinageError(
        f"The server cannot listen at {host}, port {port}: {error.strerror or error}.",
        remedy="Give another --port (0 takes any that is free), or another --host.",
    )
