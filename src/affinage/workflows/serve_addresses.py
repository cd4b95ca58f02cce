"""Fetching an image by its address for the server: allowed hosts of the public internet only."""

from collections.abc import Awaitable, Callable

import aiohttp

from affinage.datasets.collect.addresses import host_of, read_address
from affinage.datasets.collect.asking import Asker, Body
from affinage.datasets.collect.connecting import open_session
from affinage.datasets.collect.intake import unpacked
from affinage.datasets.collect.limits import Limits as Asking
from affinage.errors import AffinageError, DataError
from affinage.serving.limits import Limits


def fetcher(hosts: tuple[str, ...], limits: Limits) -> Callable[[str], Awaitable[bytes]]:
    """Return what fetches the bytes of an address.

    Redirects are not followed, and addresses that are not of the public internet are never asked,
    whatever a name says.

    Args:
        hosts: Names that are allowed; `*` for any.
        limits: Of size and time.
    """
    asking = Asking(max_bytes=limits.body, total=limits.seconds, read=limits.seconds)

    async def fetch(address: str) -> bytes:
        try:
            url = read_address(address)
        except (DataError, ValueError) as error:
            raise DataError(f"The address cannot be read: {error}", remedy="Check it.") from None
        host = host_of(url)
        if "*" not in hosts and host not in hosts:
            raise DataError(
                f"'{host}' is not among the hosts allowed here.", remedy="Send the image."
            )
        session: aiohttp.ClientSession
        async with open_session(asking, "affinage") as session:
            answer = await Asker(session, asking).ask(url)
        if not isinstance(answer, Body):
            reason = getattr(answer, "reason", "it redirects, which is not followed")
            raise AffinageError(f"The address gave no image: {reason}.", remedy="Send the image.")
        return unpacked(answer.data, answer.encoding, limits.body)

    return fetch
