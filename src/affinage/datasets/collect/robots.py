"""What a site's robots.txt asks of us (RFC 9309)."""

import urllib.robotparser
from collections import OrderedDict

from yarl import URL

from affinage.datasets.collect.asking import Asker, Body, Failure, Moved

_SITES = 2_048
_LARGEST = 512_000  # Bytes of a robots.txt that are read; RFC 9309 asks for 500 KiB.
_REDIRECTS = 5


class Robots:
    """Asks each site once, and remembers the last sites.

    Args:
        asker: Sends requests.
        name: By which rules address us, such as `affinage`.
    """

    def __init__(self, asker: Asker, name: str) -> None:
        self._asker = asker
        self._name = name
        self._sites: OrderedDict[str, urllib.robotparser.RobotFileParser | None] = OrderedDict()

    async def reason(self, url: URL) -> str | None:
        """Return why a site does not let us ask for an address, or None where it does.

        Where its rules cannot be had because the site fails, RFC 9309 takes all for forbidden.
        """
        site = str(url.origin())
        if site not in self._sites:
            self._sites[site] = await self._fetch(url.origin().with_path("/robots.txt"))
            if len(self._sites) > _SITES:
                self._sites.popitem(last=False)
        rules = self._sites.get(site)
        if rules is None:
            return "its site's robots.txt could not be had"
        return None if rules.can_fetch(self._name, str(url)) else "its site's robots.txt forbids it"

    async def _fetch(self, url: URL) -> urllib.robotparser.RobotFileParser | None:
        """Return a site's rules, empty ones where it has none; None where they cannot be had."""
        rules = urllib.robotparser.RobotFileParser()
        answer = await self._asker.ask(url)
        for _ in range(_REDIRECTS):
            if not isinstance(answer, Moved) or answer.to.scheme not in ("http", "https"):
                break
            answer = await self._asker.ask(answer.to)
        if isinstance(answer, Body):
            text = answer.data[:_LARGEST].decode("utf-8", "replace")
            rules.parse(text.splitlines())
            return rules
        if isinstance(answer, Failure) and answer.reached and not answer.passing:
            rules.parse([])
            return rules
        return None
