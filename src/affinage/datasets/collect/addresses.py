"""Addresses as a table gives them: which can be asked for, and whose they are."""

import re

from yarl import URL

_LEGAL = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=|-]|%[0-9A-Fa-f]{2})+")
_PLAIN = re.compile(
    r"https?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(?::[0-9]{1,4})?(?:/[A-Za-z0-9._~/?&=+,;()-]*)?"
)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")

NOT_READABLE = "an address that cannot be read"


def read_address(text: str) -> URL:
    """Return an address that can be asked for; spaces and letters beyond ASCII are encoded.

    The host is read by the library that will connect, so that nobody is told one host and asks another.

    Args:
        text: As the table has it; space around it does not count.

    Raises:
        ValueError: If it is none; the message is the reason, in words for people.
    """
    plain = text.strip()
    if not plain:
        raise ValueError("without an address in the table")
    if _CONTROL.search(plain):
        raise ValueError("an address with control characters")
    try:
        url = loosely_read(plain)
        host, _ = url.raw_host, url.port  # Both are parsed late, and may raise.
    except (ValueError, TypeError):
        raise ValueError(NOT_READABLE) from None
    if url.scheme not in ("http", "https"):
        kind = f"'{url.scheme[:20]}:'" if url.scheme else "no scheme"
        raise ValueError(f"an address with {kind}, not http: or https:")
    if not host or "\\" in host or "%" in host:
        raise ValueError("an address without a host" if not host else NOT_READABLE)
    return url


def loosely_read(text: str) -> URL:
    """Return any address, a relative one too; what is legal in it stays letter by letter.

    Some servers sign an address as it is written: one that is spelled otherwise they refuse.

    Raises:
        ValueError: If it cannot be read.
    """
    plain = text.strip()
    return URL(plain, encoded=_LEGAL.fullmatch(plain) is not None)


def host_in(text: str) -> str:
    """Return the host of an address: what `host_of(read_address(text))` returns, sooner.

    Raises:
        ValueError: As `read_address`.
    """
    found = _PLAIN.fullmatch(text)  # Most addresses of most tables.
    return found[1].lower() if found is not None else host_of(read_address(text))


def host_of(url: URL) -> str:
    """Return the host's name in lower-case ASCII, without port and closing dot."""
    return (url.raw_host or "").lower().rstrip(".")


def domain_of(host: str) -> str:
    """Return the web domain that a host counts under: its name without a leading `www.`."""
    return host.removeprefix("www.") or host


def without_password(text: str) -> str:
    """Return an address to show to people: without the user and password that it may carry."""
    try:
        url = URL(text)
        return str(url.with_user(None)) if url.raw_user or url.raw_password else text
    except (ValueError, TypeError):
        return text
