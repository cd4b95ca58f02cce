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
        self._sites: OrderedDict[str, urllib.robotparser.RobotFileParser] = OrderedDict()

    async def allows(self, url: URL) -> bool:
        """Return whether a site lets us ask for an address; not, where its rules cannot be had."""
        site = str(url.origin())
        rules = self._sites.get(site)
        if rules is None:
            rules = await self._fetch(url.origin().with_path("/robots.txt"))
            self._sites[site] = rules
            if len(self._sites) > _SITES:
                self._sites.popitem(last=False)
        return rules.can_fetch(self._name, str(url))

    async def _fetch(self, url: URL) -> urllib.robotparser.RobotFileParser:
        """Return a site's rules: none where there is no file, all forbidden where it cannot be had."""
        rules = urllib.robotparser.RobotFileParser()
        answer = await self._asker.ask(url)
        for _ in range(_REDIRECTS):
            if not isinstance(answer, Moved) or answer.to.scheme not in ("http", "https"):
                break
            answer = await self._asker.ask(answer.to)
        if isinstance(answer, Body):
            text = answer.data[:_LARGEST].decode("utf-8", "replace")
            rules.parse(text.splitlines())
        elif isinstance(answer, Failure) and answer.reached and not answer.passing:
            rules.parse([])
        else:
            rules.parse(["User-agent: *", "Disallow: /"])
        return rules
