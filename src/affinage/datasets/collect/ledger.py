"""The ledger: what has become of every row, on disk, so that a collection can stop and go on."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from affinage.datasets.collect.addresses import host_in
from affinage.datasets.collect.schema import connect
from affinage.datasets.collect.table_rows import AddressTable, Row
from affinage.datasets.places import normal_label
from affinage.errors import AffinageError

_BATCH = 5_000  # Rows to a transaction while a table is read.
_NAMES = 100_000  # Hosts and spellings whose numbers are remembered.

_WRITE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ADD = """
INSERT INTO rows (key, url, address, host, spelling, class, draw, further, seen, state, reason, again)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
  copies = CASE WHEN seen = excluded.seen THEN copies + 1 ELSE 1 END, seen = excluded.seen
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What reading a table brought.

    Attributes:
        rows: Rows that the table has, those that say the same again included.
        added: Rows that the ledger did not have.
    """

    rows: int
    added: int


class Ledger:
    """One row for each different (address, label) of the tables that were given.

    Args:
        file: The SQLite file; made where there is none.

    Attributes:
        changed: Whether any row was added or changed since it was opened.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.database = connect(file)
        self.changed = False
        self._hosts: dict[str, int] = {}
        self._spellings: dict[str, tuple[int, int, bool]] = {}

    def close(self) -> None:
        """Fold the journal into the file and close it."""
        self.database.close()

    def fact(self, name: str) -> str | None:
        """Return something that was remembered, or None."""
        found = self.database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """Keep something under a name."""
        self.database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def forget(self, name: str) -> None:
        """Drop what was kept under a name."""
        self.database.execute("DELETE FROM facts WHERE name = ?", (name,))

    @property
    def columns(self) -> list[str]:
        """Names of the further columns, in the order in which tables brought them."""
        return list(json.loads(self.fact("columns") or "[]"))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of it, or nothing.

        Raises:
            AffinageError: If the disk is full or the file is damaged.
        """
        try:
            self.database.execute("BEGIN IMMEDIATE")
            before = self.database.total_changes
            yield self.database
            if not self.changed and self.database.total_changes != before:
                self.changed = True
                self.forget("written")
            self.database.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise AffinageError(
                    f"The ledger '{self.file}' cannot be written: {error}.",
                    remedy="Free some room on its disk, then give the same command again.",
                ) from None
            raise

    def read_table(
        self,
        table: AddressTable,
        *,
        seed: int,
        sampled: bool,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Reading:
        """Add the rows of a table that are not there yet; those that are there stay as they are.

        A table whose bytes were read to the end before is not read again.

        Args:
            table: Rows of (address, label, further fields, problem).
            seed: Of the lot of each row in its class.
            sampled: Whether new rows wait to be drawn, instead of being fetched.
            progress: Called with the number of rows read so far.
        """
        done = json.loads(self.fact("reading") or "{}")
        if done.get("digest") == table.digest:
            return Reading(rows=int(done["rows"]), added=0)
        number = int(self.fact("readings") or 0) + 1
        self.remember("readings", str(number))
        order = self._columns_with(table.columns)
        before, rows = self._height(), 0
        for batch in _batches(table.rows, _BATCH):
            with self.transaction():
                values = (self._values(row, order, number, seed, sampled=sampled) for row in batch)
                self.database.executemany(_ADD, values)
            rows += len(batch)
            progress(rows)
        self.remember("reading", json.dumps({"digest": table.digest, "rows": rows}))
        return Reading(rows=rows, added=self._height() - before)

    def _height(self) -> int:
        return int(self.database.execute("SELECT COUNT(*) FROM rows").fetchone()[0])

    def _columns_with(self, columns: Sequence[str]) -> list[int]:
        """Return the place of each of a table's further columns among all; new ones come last."""
        known = self.columns
        known += [name for name in columns if name not in known]
        self.remember("columns", json.dumps(known, ensure_ascii=False))
        return [known.index(name) for name in columns]

    def _values(
        self, row: Row, order: Sequence[int], reading: int, seed: int, *, sampled: bool
    ) -> tuple[object, ...]:
        url, raw, further, problem = row
        text, host, reason = url.strip(), "", problem
        spelling, group, named = self._spelling(raw)
        try:
            host = host_in(text)
        except ValueError as error:
            reason = reason or str(error)
        if not named:
            reason = reason or "without a label in the table"
        key = row_key(text, normal_label(raw))
        state = "failed" if reason else "not-sampled" if sampled else "waiting"
        return (
            key, text, address_number(text), self._host(host), spelling, group, lot(seed, key),
            _further(further, order), reading, state, reason, 0 if reason else 1,
        )  # fmt: skip

    def _host(self, name: str) -> int:
        number = self._hosts.get(name)
        if number is None:
            add = "INSERT INTO hosts (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name"
            number = int(self.database.execute(f"{add} RETURNING id", (name,)).fetchone()[0])
            if len(self._hosts) >= _NAMES:
                self._hosts.clear()
            self._hosts[name] = number
        return number

    def _spelling(self, raw: str) -> tuple[int, int, bool]:
        """Return a spelling's number, its class, and whether it is a label at all."""
        known = self._spellings.get(raw)
        if known is not None:
            return known
        ask = "SELECT id, class, label IS NOT NULL FROM spellings WHERE raw = ?"
        found = self.database.execute(ask, (raw,)).fetchone() or self._new_spelling(raw)
        if len(self._spellings) >= _NAMES:
            self._spellings.clear()
        self._spellings[raw] = (int(found[0]), int(found[1]), bool(found[2]))
        return self._spellings[raw]

    def _new_spelling(self, raw: str) -> tuple[int, int, bool]:
        label = normal_label(raw)
        fold = f"class {label if label is None or len(label) == 1 else label.casefold()}"
        add = "INSERT INTO spellings (raw, label, class) VALUES (?, ?, 0) RETURNING id"
        number = int(self.database.execute(add, (raw, label)).fetchone()[0])
        group = int(self.fact(fold) or number)
        if group == number:
            self.remember(fold, str(number))
        self.database.execute("UPDATE spellings SET class = ? WHERE id = ?", (group, number))
        return number, group, label is not None


def row_key(url: str, label: str | None) -> bytes:
    """Return who a row is: SHA-256 of its address and label (the address's length tells them apart)."""
    told = f"{len(url)}\0{url}\0{label or ''}"
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()


def address_number(url: str) -> int:
    """Return a number in [0, 2^63) by which the rows of one address are found."""
    return _number(hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest())


def lot(seed: int, key: bytes) -> int:
    """Return a row's place in the lot of its class, in [0, 2^63): the lowest are drawn first."""
    return _number(hashlib.sha256(f"{seed}\0".encode() + key).digest())


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> 1


def _further(values: Sequence[str | None], order: Sequence[int]) -> str | None:
    if not any(values):
        return None
    placed: list[str | None] = [None] * (max(order) + 1)
    for at, value in zip(order, values, strict=True):
        placed[at] = value
    return _WRITE(placed)


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
