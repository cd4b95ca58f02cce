"""Which network addresses may be connected to: those of the public internet only."""

import ipaddress
import socket

_METADATA = frozenset(
    (
        "169.254.169.254",  # Amazon, Google, Microsoft, Oracle, OpenStack and others.
        "169.254.169.253",  # Amazon's name server.
        "169.254.170.2",  # Credentials of containers and
        "169.254.170.23",  # of pods at Amazon.
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google, where there is IPv6 only.
        "100.100.100.200",  # Alibaba.
        "192.0.0.192",  # Oracle, as it once was.
        "168.63.129.16",  # Microsoft: public by its number, an inner service by its use.
    )
)
"""Where clouds tell a machine its own passwords: nobody's images, so never asked."""

_INNER = tuple(
    ipaddress.ip_network(net)  # Refused whatever a version of Python thinks of them.
    for net in ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48")
)
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64, RFC 6052: the last 32 bits are IPv4.

_AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class RefusedAddress(OSError):  # noqa: N818 - it is a rule that worked, not a fault.
    """A connection that was not made, because its address is none of the public internet."""


def refusal(address: str) -> str | None:
    """Return what a numeric address is that must not be connected to, or None where it may be.

    Args:
        address: IPv4 or IPv6 in numbers, as it will be given to `connect`.
    """
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not a network address"
    inner = _embedded(number)
    if inner is not None and number in _TRANSLATED:
        return _kind(inner)
    return _kind(number) or (_kind(inner) if inner is not None else None)


def metadata_refusal(address: str) -> str | None:
    """Return why an address is refused even where private ones are allowed, or None.

    Args:
        address: IPv4 or IPv6 in numbers, as it will be given to `connect`.
    """
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not a network address"
    known = {str(one) for one in (number, _embedded(number)) if one is not None}
    return "a cloud's metadata address" if known & _METADATA else None


def guarded_socket(info: _AddressInfo, *, private: bool = False) -> socket.socket:
    """Return a socket for an address that was resolved and may be connected to.

    It stands at the last place before `connect`, so that the address checked is the address used,
    whatever a name server says to a second question.

    Args:
        info: What the name server said.
        private: Whether addresses that are not of the public internet may be connected to.

    Raises:
        RefusedAddress: If the address is loopback, private, link-local or otherwise not public, and
            `private` is not set; or if it is a cloud's metadata service, in any case.
    """
    family, kind, protocol, _, address = info
    why = (metadata_refusal if private else refusal)(str(address[0]))
    if why is not None:
        raise RefusedAddress(why)
    return socket.socket(family, kind, protocol)


def _kind(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    kinds = (
        (number.is_loopback, "a loopback address"),
        (str(number) in _METADATA, "a cloud's metadata address"),
        (number.is_link_local, "a link-local address"),
        (number.is_multicast, "a multicast address"),
        (number.is_unspecified, "an unspecified address"),
        (number.is_private, "a private address"),
        (number.is_reserved or not number.is_global, "a reserved address"),
        (any(number in net for net in _INNER), "a reserved address"),
        (isinstance(number, ipaddress.IPv6Address) and number.is_site_local, "a private address"),
    )
    return next((name for holds, name in kinds if holds), None)


def _embedded(
    number: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if isinstance(number, ipaddress.IPv4Address):
        return None
    if number.ipv4_mapped is not None:
        return number.ipv4_mapped
    if number.sixtofour is not None:
        return number.sixtofour
    if number in _TRANSLATED or int(number) >> 32 == 0:
        return ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
    return None
