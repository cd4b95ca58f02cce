"""Who may ask: anyone on this machine, and elsewhere whoever has the token."""

import hmac
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = frozenset({"/", "/health", "/ready"})
"""Answered without the token: they say nothing of data or model."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Refuses whoever may not ask.

    Attributes:
        token: Asked of everyone; None where the server is heard on this machine only.
        hosts: Names that a request may call the server by; empty for any. Without a token, a page of
            any site could let its own name point here.
    """

    token: str | None
    hosts: frozenset[str] = frozenset()

    def refusal(self, request: Request) -> Response | None:
        """Return why a request is not answered, or None where it is."""
        if self.hosts and request.url.hostname not in self.hosts:
            return _no(421, "This server does not go by that name.")
        origin = request.headers.get("origin")
        if request.method == "POST" and origin and origin.partition("://")[2] != request.url.netloc:
            return _no(403, "A page of another site may not ask.")
        if self.token is None or request.url.path in OPEN:
            return None
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if hmac.compare_digest(given, self.token.encode()):
            return None
        return _no(401, "Give the token: Authorization: Bearer TOKEN")


def _no(status: int, reason: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": reason}, status_code=status, headers=headers)


class Guarded:
    """An application behind a guard.

    Args:
        app: What answers.
        guard: Who may ask.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        following = self._guard.refusal(Request(scope)) or self._app
        await following(scope, receive, with_headers)
