"""Before anything is fetched: what is tried again, what is blocked, what is drawn."""

import json
import sqlite3

from yarl import URL

from affinage.datasets.collect.blocking import Blocklist
from affinage.datasets.collect.ledger import Ledger, lot

_RELEASE = """
UPDATE rows SET reason = NULL,
  state = CASE WHEN image IS NOT NULL THEN 'kept' WHEN :sampled THEN 'not-sampled' ELSE 'waiting' END
WHERE state = 'blocked'
"""
_BLOCK = """
UPDATE rows SET state = 'blocked', reason = refused.reason FROM refused
WHERE rows.host = refused.host AND rows.state IN ('waiting', 'not-sampled', 'kept')
"""
_SURPLUS = """
UPDATE rows SET state = 'not-sampled' WHERE id IN (
  SELECT id FROM (
    SELECT id, class, row_number() OVER (PARTITION BY class ORDER BY draw, id) AS place
    FROM rows WHERE state = 'waiting'
  ) JOIN room USING (class) WHERE place > room.rows
)
"""


def plan(
    ledger: Ledger,
    blocklist: Blocklist,
    *,
    per_class: int | None,
    seed: int,
    retry_failed: bool,
) -> "Quota":
    """Give every row that is not done the state that the command asks for.

    Args:
        ledger: Holds every row of the table already.
        blocklist: Rows of these hosts and paths are blocked; kept ones keep their file.
        per_class: Different images wanted of each class; None for all rows.
        seed: Of the lot that decides which rows are drawn.
        retry_failed: Whether failures wait again, but for rows that no server can mend.

    Returns:
        What is still to be had of each class, to be told of every row that ends.
    """
    sampled = per_class is not None
    with ledger.transaction() as database:
        _draw_anew(ledger, seed)
        again = 0
        if retry_failed:
            again = database.execute(
                "UPDATE rows SET state = ?, reason = NULL WHERE state = 'failed' AND again",
                ("not-sampled" if sampled else "waiting",),
            ).rowcount
        asked = json.dumps([blocklist.patterns, ledger.fact("readings")])
        if again or ledger.fact("blocked") != asked:
            _block(ledger, blocklist, sampled=sampled)
            ledger.remember("blocked", asked)
        if not sampled:
            database.execute("UPDATE rows SET state = 'waiting' WHERE state = 'not-sampled'")
        quota = Quota(database, per_class)
        quota.settle_all()
    return quota


def _draw_anew(ledger: Ledger, seed: int) -> None:
    """Give every row its lot again where the seed is another one than before."""
    if ledger.fact("seed") not in (None, str(seed)):
        ledger.database.create_function("lot", 1, lambda key: lot(seed, key), deterministic=True)
        ledger.database.execute("UPDATE rows SET draw = lot(key)")
    if ledger.fact("seed") != str(seed):
        ledger.remember("seed", str(seed))


def _block(ledger: Ledger, blocklist: Blocklist, *, sampled: bool) -> None:
    database = ledger.database
    patterns = json.dumps(blocklist.patterns)
    if ledger.fact("patterns") != patterns:
        database.execute(_RELEASE, {"sampled": sampled})
        ledger.remember("patterns", patterns)
    if not blocklist.patterns:
        return
    database.execute("CREATE TEMP TABLE refused (host INTEGER PRIMARY KEY, reason TEXT)")
    some: list[int] = []
    for number, name in database.execute("SELECT id, name FROM hosts"):
        reason = blocklist.host_reason(name)
        if reason:
            database.execute("INSERT INTO refused VALUES (?, ?)", (number, reason))
        elif blocklist.has_paths_of(name):
            some.append(number)
    if database.execute("SELECT 1 FROM refused LIMIT 1").fetchone():
        database.execute(_BLOCK)
    database.execute("DROP TABLE refused")
    if some:
        _block_paths(database, blocklist, some)


def _block_paths(database: sqlite3.Connection, blocklist: Blocklist, hosts: list[int]) -> None:
    database.execute("CREATE TEMP TABLE hit (id INTEGER PRIMARY KEY, reason TEXT)")
    database.execute("CREATE TEMP TABLE some (host INTEGER PRIMARY KEY)")
    database.executemany("INSERT INTO some VALUES (?)", ((host,) for host in hosts))
    rows = database.execute(
        "SELECT rows.id, rows.url FROM rows JOIN some USING (host)"
        " WHERE state IN ('waiting', 'not-sampled', 'kept')"
    )
    reasons = ((number, blocklist.reason(URL(url))) for number, url in rows)
    hits = ((number, reason) for number, reason in reasons if reason is not None)
    database.executemany("INSERT INTO hit VALUES (?, ?)", hits)
    database.execute(
        "UPDATE rows SET state = 'blocked', reason = hit.reason FROM hit WHERE rows.id = hit.id"
    )
    database.execute("DROP TABLE hit")
    database.execute("DROP TABLE some")


class Quota:
    """How many different images are wanted, had and waited for, of each class.

    The rows of a class are taken in the order of their lots, so that the sample does not depend on
    the order of the table or of the answers; a row that fails, or brings an image that is there
    already, makes room for the next. Rows that were had before others were added stay.

    Args:
        database: Of the ledger; used in the caller's transactions.
        wanted: Different images of each class; None for all rows.
    """

    def __init__(self, database: sqlite3.Connection, wanted: int | None) -> None:
        self._database = database
        self._wanted = wanted
        self._had: dict[int, int] = {}
        self._awaited: dict[int, int] = {}
        if wanted is not None:
            had = (
                "SELECT class, COUNT(*) FROM (SELECT MIN(class) AS class FROM rows"
                " WHERE state = 'kept' GROUP BY image HAVING MIN(class) = MAX(class)) GROUP BY class"
            )
            awaited = "SELECT class, COUNT(*) FROM rows WHERE state = 'waiting' GROUP BY class"
            self._had = dict(database.execute(had).fetchall())
            self._awaited = dict(database.execute(awaited).fetchall())

    def settle_all(self) -> None:
        """Bring every class to what is wanted: draw more where it lacks, put back where it is over."""
        if self._wanted is None:
            return
        self._database.execute("CREATE TEMP TABLE room (class INTEGER PRIMARY KEY, rows INTEGER)")
        over = [
            (group, max(0, self._wanted - self._had.get(group, 0)))
            for group, awaited in self._awaited.items()
            if awaited + self._had.get(group, 0) > self._wanted
        ]
        self._database.executemany("INSERT INTO room VALUES (?, ?)", over)
        if over:
            self._database.execute(_SURPLUS)
            self._awaited.update(over)
        self._database.execute("DROP TABLE room")
        for (group,) in self._database.execute("SELECT DISTINCT class FROM spellings").fetchall():
            self.draw(group)

    def ended(self, group: int, image: str | None) -> set[int]:
        """Count a row of a class that no longer waits; call it before the row's own image is entered.

        Args:
            group: The row's class.
            image: The image that it brought; None where it failed.

        Returns:
            Classes that may lack an image now: of bytes under two labels, none counts.
        """
        if self._wanted is None:
            return set()
        self._awaited[group] = self._awaited.get(group, 0) - 1
        if image is None:
            return {group}
        ask = "SELECT DISTINCT class FROM rows WHERE image = ? AND state = 'kept'"
        groups = {found for (found,) in self._database.execute(ask, (image,))}
        if not groups:
            self._had[group] = self._had.get(group, 0) + 1
        elif len(groups) == 1 and group not in groups:
            other = groups.pop()
            self._had[other] -= 1
            return {group, other}
        return {group}

    def draw(self, group: int) -> int:
        """Let as many rows of a class wait as it lacks, those with the lowest lots; return how many."""
        if self._wanted is None:
            return 0
        lacking = self._wanted - self._had.get(group, 0) - self._awaited.get(group, 0)
        if lacking <= 0:
            return 0
        take = (
            "UPDATE rows SET state = 'waiting' WHERE id IN (SELECT id FROM rows"
            " WHERE state = 'not-sampled' AND class = ? ORDER BY draw, id LIMIT ?)"
        )
        drawn = self._database.execute(take, (group, lacking)).rowcount
        self._awaited[group] = self._awaited.get(group, 0) + drawn
        return drawn
