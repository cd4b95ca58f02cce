"""While rows are fetched: which are next, and what has become of those that ended."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from affinage.datasets.collect.ledger import Ledger
from affinage.datasets.collect.planning import Quota

_NEXT = """
SELECT DISTINCT url, address FROM rows WHERE state = 'waiting' AND host = ?
ORDER BY address LIMIT ?
"""
_HAD = """
SELECT image, bytes, modified, width, height, format, notes FROM rows
WHERE address = ? AND url = ? AND image IS NOT NULL LIMIT 1
"""
_HOSTS = """
WITH RECURSIVE next (host) AS (
  SELECT MIN(host) FROM rows WHERE state = 'waiting' AND host > :after
  UNION ALL
  SELECT (SELECT MIN(host) FROM rows WHERE state = 'waiting' AND host > next.host)
  FROM next WHERE next.host IS NOT NULL
)
SELECT hosts.id, hosts.name FROM next JOIN hosts ON hosts.id = next.host LIMIT :most
"""
_END = """
UPDATE rows SET state = ?, reason = ?, again = ?, tries = tries + ?,
  image = ?, bytes = ?, modified = ?, width = ?, height = ?, format = ?, notes = ?
WHERE id = ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A whole image that was taken in.

    Attributes:
        id: SHA-256 of its bytes.
        bytes: Size of its file.
        width: Pixels as shown.
        height: Pixels as shown.
        format: What the bytes are, such as JPEG.
        notes: How it was read where that is not plain.
        modified: Time of change of its file, ns since 1970; None on an object store.
    """

    id: str
    bytes: int
    width: int
    height: int
    format: str
    notes: str = ""
    modified: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of one address.

    Attributes:
        url: As the table has it.
        address: Its number in the ledger.
        tries: Requests that were made for it.
        image: What it brought; None where it failed.
        reason: Why it failed.
        blocked: Whether it was not asked for because a redirect led to what is blocked.
    """

    url: str
    address: int
    tries: int = 1
    image: Image | None = None
    reason: str | None = None
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An address that is to be fetched.

    Attributes:
        url: As the table has it.
        address: Its number in the ledger.
    """

    url: str
    address: int


def next_hosts(ledger: Ledger, *, after: int, most: int) -> list[tuple[int, str]]:
    """Return hosts with waiting rows: (number, name), by number, beginning after one."""
    return ledger.database.execute(_HOSTS, {"after": after, "most": most}).fetchall()


def next_addresses(
    ledger: Ledger, quota: Quota, host: int, *, most: int, flying: Collection[int]
) -> list[Waiting]:
    """Return addresses of a host that wait; those that were had under another label end at once.

    Args:
        ledger: Only this thread uses it now.
        quota: Told of rows that end here.
        host: Number of the host.
        most: How many waiting addresses are looked at, those in the air included.
        flying: Numbers of the addresses that are being fetched.
    """
    found = ledger.database.execute(_NEXT, (host, most)).fetchall()
    fresh, known = [], []
    for url, address in found:
        if address in flying:
            continue
        had = ledger.database.execute(_HAD, (address, url)).fetchone()
        if had is None:
            fresh.append(Waiting(url=url, address=address))
            continue
        image, size, modified, width, height, kind, notes = had
        taken = Image(
            id=image, bytes=size, width=width, height=height, format=kind, notes=notes,
            modified=modified,
        )  # fmt: skip
        known.append(Ending(url=url, address=address, tries=0, image=taken))
    if known:
        settle(ledger, quota, known)
    return fresh


def settle(ledger: Ledger, quota: Quota, endings: Sequence[Ending]) -> int:
    """Write down what became of addresses, in one transaction; rows of one address end together.

    Returns:
        How many rows were drawn in place of those that brought no new image.
    """
    touched: set[int] = set()
    with ledger.transaction() as database:
        for ending in endings:
            rows = database.execute(
                "SELECT id, class FROM rows WHERE address = ? AND url = ? AND state = 'waiting'",
                (ending.address, ending.url),
            ).fetchall()
            for number, group in rows:
                touched |= quota.ended(group, ending.image.id if ending.image else None)
                database.execute(_END, (*_values(ending), number))
        return sum(quota.draw(group) for group in sorted(touched))


def give_up(ledger: Ledger, quota: Quota, host: int, reason: str, flying: Iterable[int]) -> int:
    """End all rows of a host that wait and are not in the air.

    Returns:
        How many rows were drawn in their place.
    """
    with ledger.transaction() as database:
        database.execute("CREATE TEMP TABLE air (address INTEGER PRIMARY KEY)")
        database.executemany("INSERT OR IGNORE INTO air VALUES (?)", ((one,) for one in flying))
        ended = database.execute(
            "UPDATE rows SET state = 'failed', reason = ?, again = 1 WHERE state = 'waiting'"
            " AND host = ? AND address NOT IN (SELECT address FROM air) RETURNING class",
            (reason, host),
        )
        touched: set[int] = set()
        for (group,) in ended.fetchall():
            touched |= quota.ended(group, None)
        database.execute("DROP TABLE air")
        return sum(quota.draw(group) for group in sorted(touched))


def _values(ending: Ending) -> tuple[object, ...]:
    image = ending.image
    if image is None:
        state = "blocked" if ending.blocked else "failed"
        return state, ending.reason, 1, ending.tries, *(None,) * 7
    return (
        "kept", None, 1, ending.tries, image.id, image.bytes, image.modified,
        image.width, image.height, image.format, image.notes,
    )  # fmt: skip
