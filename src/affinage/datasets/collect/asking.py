"""One request: what a server answered, or in words why there is no answer to use."""

import asyncio
import datetime
import email.utils
import re
import ssl
import time
from dataclasses import dataclass

import aiohttp
from yarl import URL

from affinage.datasets.collect.addresses import loosely_read
from affinage.datasets.collect.guard import RefusedAddress
from affinage.datasets.collect.intake import ENCODINGS, too_large
from affinage.datasets.collect.limits import Limits

_MOVED = frozenset((301, 302, 303, 307, 308))
_MAY_PASS = frozenset((408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529))
_SMALL = 1_000_000  # Bytes that any answer may hold in memory while it arrives.
_HELD = (
    400_000_000  # Bytes of arriving answers in memory beyond which large ones wait for each other.
)
_TRIFLE = 16_384  # Bytes of an error page that are read, so that the connection can be used again.

HEADERS = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A file's bytes as sent.

    Attributes:
        data: All of them: what was announced is what arrived.
        encoding: Content encoding, lower case; empty for none.
    """

    data: bytes
    encoding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A redirect, not followed.

    Attributes:
        to: Where it leads, in full.
    """

    to: URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """No file.

    Attributes:
        reason: In words for people.
        passing: Whether another try may succeed.
        reached: Whether the server answered at all.
        wait: Seconds that the server asked to wait; None where it did not.
        throttled: Whether the server said that it is asked too much.
        refused: Whether the host is at an address that is not asked.
    """

    reason: str
    passing: bool = False
    reached: bool = True
    wait: float | None = None
    throttled: bool = False
    refused: bool = False


Answer = Body | Moved | Failure

_HOSTLESS = re.compile(r"\s*(?:https?:(?!//)|(?:https?:)?//(?=[/?#\s]|$))", re.IGNORECASE)

_MEANINGS: tuple[tuple[type[Exception], Failure], ...] = (
    (
        aiohttp.ClientConnectorCertificateError,
        Failure(reason="its TLS certificate cannot be verified"),
    ),
    (aiohttp.InvalidURL, Failure(reason="an address that cannot be read")),
    (
        aiohttp.ClientPayloadError,
        Failure(reason="cut off: less arrived than was announced", passing=True),
    ),
    (aiohttp.ClientResponseError, Failure(reason="an answer that is not HTTP", passing=True)),
    (UnicodeError, Failure(reason="a host name that cannot be")),
    (ValueError, Failure(reason="an answer that is not HTTP")),
)
_UNREACHED: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its host name is not known"),
    (aiohttp.ClientConnectorSSLError, "no TLS connection could be made"),
    (ssl.SSLError, "no TLS connection could be made"),
    (ConnectionRefusedError, "connection refused"),
    (aiohttp.ClientConnectorError, "no connection could be made"),
    (Exception, "the connection was closed without a whole answer"),
)


class Asker:
    """Sends requests over one session, within limits.

    Args:
        session: With connections that are guarded, and without automatic decompression.
        limits: Sizes and times.
    """

    def __init__(self, session: aiohttp.ClientSession, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._held = 0
        self._large = asyncio.Semaphore(4)

    async def ask(self, url: URL) -> Answer:
        """Return the answer to a request for an address; redirects are not followed."""
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                return await self._read(response)
        except Exception as error:  # noqa: BLE001 - Servers make libraries raise anything.
            return described(error, self._limits)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        status = response.status
        if status not in (200, 203):
            answer = _refused(response, self._limits)
            if response.content_length is not None and response.content_length <= _TRIFLE:
                await response.read()
            return answer
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            return Failure(reason="a content encoding that was not asked for")
        announced = response.content_length
        if announced is not None and announced > self._limits.max_bytes:
            return Failure(reason=too_large(self._limits.max_bytes).problem.rstrip("."))
        if announced is not None and announced <= _SMALL:
            return Body(data=await response.read(), encoding=encoding)
        data = await self._pieces(response)
        if data is None:
            return Failure(reason=too_large(self._limits.max_bytes).problem.rstrip("."))
        return Body(data=data, encoding=encoding)

    async def _pieces(self, response: aiohttp.ClientResponse) -> bytes | None:
        """Return a body of any size, or None where it is over the limit."""
        pieces: list[bytes] = []
        size, permitted = 0, False
        try:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                self._held += len(piece)
                if size > self._limits.max_bytes:
                    return None
                if self._held > _HELD and size > _SMALL and not permitted:
                    await self._large.acquire()
                    permitted = True
            return b"".join(pieces)
        finally:
            self._held -= size
            if permitted:
                self._large.release()


def described(error: Exception, limits: Limits) -> Failure:
    """Return what an exception of a request means, in words for people."""
    inner = getattr(error, "os_error", None)
    if isinstance(inner, RefusedAddress):
        return Failure(reason=f"its host is at {inner}, which is not asked", refused=True)
    for kind, failure in _MEANINGS:
        if isinstance(error, kind):
            return failure
    if isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
        kinds = (
            (aiohttp.ConnectionTimeoutError, f"no connection within {limits.connect:g} s"),
            (aiohttp.SocketTimeoutError, f"no data for {limits.read:g} s"),
            (TimeoutError, f"not complete within {limits.total:g} s"),
            *_UNREACHED,
        )
        reason = next(
            words for kind, words in kinds if isinstance(error, kind) or isinstance(inner, kind)
        )
        return Failure(reason=reason, passing=True, reached=False)
    return Failure(reason=f"an unexpected fault ({type(error).__name__})", passing=True)


def _refused(response: aiohttp.ClientResponse, limits: Limits) -> Answer:
    status = response.status
    if status in _MOVED:
        return _moved(response)
    wait = retry_after(response.headers.get("Retry-After"), now=time.time())
    name = f" {response.reason[:40]}" if response.reason and response.reason.isascii() else ""
    asked = f", asking to wait {wait:,.0f} s" if wait and wait > limits.longest_wait else ""
    return Failure(
        reason=f"answered {status}{name}{asked}",
        passing=status in _MAY_PASS,
        wait=wait,
        throttled=status == 429 or (wait is not None and status in _MAY_PASS),
    )


def _moved(response: aiohttp.ClientResponse) -> Answer:
    place = response.headers.get("Location") or response.headers.get("URI")
    if not place:
        return Failure(reason=f"answered {response.status} without saying where to")
    if _HOSTLESS.match(place):  # Joined to where it stands, it would be that very place again.
        return Failure(reason="redirected to an address without a host")
    try:
        to = response.url.join(loosely_read(place))
        _ = to.port  # Parsed late, and may raise.
        return Moved(to=to)
    except ValueError:
        return Failure(reason="redirected to an address that cannot be read")


def retry_after(text: str | None, *, now: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for, at least 0; None where it says nothing readable.

    Args:
        text: Seconds, or a date (RFC 9110, section 10.2.3).
        now: Seconds since 1970.
    """
    plain = (text or "").strip()
    if plain.isascii() and plain.isdigit():
        return float(min(int(plain[:12]), 10**9))
    try:
        date = email.utils.parsedate_to_datetime(plain)
    except (ValueError, TypeError, IndexError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, date.timestamp() - now)
