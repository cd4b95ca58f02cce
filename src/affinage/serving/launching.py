"""The application on a socket: patient with no one, and gone without leaving a request unanswered."""

import asyncio
import signal
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

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


def launch(app: FastAPI, *, host: str, port: int, grace: float) -> None:
    """Serve until interrupted; then answer what was accepted, for at most `grace` seconds.

    Args:
        app: From `create_app`.
        host: Address to listen at.
        port: 0 to 65535; 0 takes any that is free.
        grace: Seconds.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
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
        server.run()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
