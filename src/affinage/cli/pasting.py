"""Commands that can be pasted: the data set's folder where a finding or an error says DATA."""

import contextlib
import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from affinage.errors import AffinageError
from affinage.records.finding import Finding

_STANDS_FOR = re.compile(r"\b(affinage [a-z]+) (?:DATA|SOURCE)\b")


def pasted(text: str, folder: str | Path) -> str:
    """Return a text whose commands name the folder."""
    name = shlex.quote(str(folder))
    return _STANDS_FOR.sub(lambda found: f"{found[1]} {name}", text)


def with_pasted_remedies(findings: Iterable[Finding], folder: str | Path) -> tuple[Finding, ...]:
    """Return findings whose remedies name the folder."""
    return tuple(
        dataclasses.replace(finding, remedy=pasted(finding.remedy, folder)) for finding in findings
    )


@contextlib.contextmanager
def remedies_pasted(folder: str | Path) -> Iterator[None]:
    """Have the remedies of errors name the folder."""
    try:
        yield
    except AffinageError as error:
        error.remedy = pasted(error.remedy, folder)
        raise
