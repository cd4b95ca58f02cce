"""Which domains and paths are not to be asked for."""

import fnmatch
import re
from collections.abc import Iterable
from pathlib import Path

from yarl import URL

from affinage.datasets.collect.addresses import host_of
from affinage.errors import DataError

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_PORT = re.compile(r":[0-9]*$")


class Blocklist:
    """Patterns of domains (`mycoportal.org`) and of paths under them (`host.example/thumbs/*`).

    A domain stands for itself and all its subdomains. `*` and `?` match as in file names.

    Args:
        patterns: As the user wrote them; a scheme before them, a port, a slash at the end, case and
            order do not matter.

    Raises:
        DataError: If a pattern has no domain.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(sorted({_plain(pattern) for pattern in patterns}))
        rules = [pattern.partition("/") for pattern in self.patterns]
        self._domains = {host: host for host, slash, _ in rules if not slash and "*" not in host}
        self._globs = [host for host, slash, _ in rules if not slash and "*" in host]
        self._paths = [(host, f"/{path}") for host, slash, path in rules if slash]

    def host_reason(self, host: str) -> str | None:
        """Return why nothing of a host is asked for, or None where something may be."""
        parts = host.split(".")
        for start in range(len(parts)):
            rule = self._domains.get(".".join(parts[start:]))
            if rule is not None:
                return f"blocked: {rule}"
        rule = next((glob for glob in self._globs if _matches(host, glob)), None)
        return None if rule is None else f"blocked: {rule}"

    def has_paths_of(self, host: str) -> bool:
        """Return whether some paths of a host may be blocked."""
        return any(_matches(host, rule) for rule, _ in self._paths)

    def reason(self, url: URL) -> str | None:
        """Return why an address is not asked for, or None where it may be."""
        host = host_of(url)
        for rule, path in self._paths:
            if _matches(host, rule) and _path_matches(url, path):
                return f"blocked: {rule}{path}"
        return self.host_reason(host)


def read_patterns(file: Path) -> list[str]:
    """Return the patterns in a file: one a line; empty lines and those with `#` first are passed over.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(
            f"The block file '{file}' cannot be read: {why}.",
            remedy="Give a text file with one pattern a line, such as mycoportal.org",
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def _plain(pattern: str) -> str:
    host, slash, path = _SCHEME.sub("", pattern.strip().lower()).partition("/")
    path = pattern.strip()[len(pattern.strip()) - len(path) :] if path else ""  # Paths have case.
    host = _PORT.sub("", host).removeprefix("*.").removeprefix("www.").strip(".")
    if not host or any(letter.isspace() for letter in host):
        raise DataError(
            f"'{pattern}' is no pattern of a domain.",
            remedy="Write it as mycoportal.org, or with a path: host.example/thumbs/*",
        )
    if not host.isascii():
        try:
            host = URL(f"http://{host}/").raw_host or host
        except ValueError:
            raise DataError(
                f"'{pattern}' is no domain.", remedy="Write it as mycoportal.org"
            ) from None
    return f"{host}{slash}{path}" if path else host


def _matches(host: str, rule: str) -> bool:
    if "*" in rule or "?" in rule:
        return fnmatch.fnmatchcase(host, rule) or fnmatch.fnmatchcase(host, f"*.{rule}")
    return host == rule or host.endswith(f".{rule}")


def _path_matches(url: URL, pattern: str) -> bool:
    asked = url.raw_path_qs
    return fnmatch.fnmatchcase(asked, pattern) or fnmatch.fnmatchcase(url.path, pattern)
