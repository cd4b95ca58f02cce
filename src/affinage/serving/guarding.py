"""Who may ask: anyone on this machine, and elsewhere whoever has the token."""

import hmac
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = frozenset({"/", "/health", "/ready"})
"""Answered without the token: they say nothing of data or model."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
        b" img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
        b" frame-ancestors 'none'",
    ),
)


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
        asked = request.headers.get("host", "")
        if self.hosts and _name(asked) not in self.hosts:
            return _no(421, "This server does not go by that name.")
        origin = request.headers.get("origin")
        if request.method == "POST" and origin and origin.partition("://")[2] != asked:
            return _no(403, "A page of another site may not ask.")
        if self.token is None or request.scope["path"] in OPEN:
            return None
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if hmac.compare_digest(given, self.token.encode()):
            return None
        return _no(401, "Give the token: Authorization: Bearer TOKEN")


def _name(host: str) -> str:
    """Return the name that a request calls the server by, without its port; of IPv6 without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


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
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        following = self._guard.refusal(Request(scope)) or self._app
        await following(scope, receive, with_headers)
