"""The ledger's tables: one row for each row of the user's table, in one SQLite file."""

import sqlite3
from pathlib import Path
from typing import Literal

from affinage.errors import DataError

FORMAT = 1

State = Literal["waiting", "kept", "failed", "not-sampled", "blocked"]

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hosts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS spellings (
  id INTEGER PRIMARY KEY,
  raw TEXT NOT NULL UNIQUE,  -- As the table has it.
  label TEXT,                -- Composed, without space around it; null where there is none.
  class INTEGER NOT NULL     -- The first spelling that differs by case only, or itself.
);
CREATE TABLE IF NOT EXISTS rows (
  id INTEGER PRIMARY KEY,    -- The order in which the table had them.
  key BLOB NOT NULL UNIQUE,  -- SHA-256 of address and label: who the row is.
  url TEXT NOT NULL,
  address INTEGER NOT NULL,  -- From the SHA-256 of the address: finds rows of one address.
  host INTEGER NOT NULL,
  spelling INTEGER NOT NULL,
  class INTEGER NOT NULL,
  draw INTEGER NOT NULL,     -- From the seed and the key: its place in the lot of its class.
  further TEXT,              -- Values of the further columns, as a JSON list.
  seen INTEGER NOT NULL,     -- The reading of a table that met it last.
  copies INTEGER NOT NULL DEFAULT 1,  -- How often that reading met it.
  state TEXT NOT NULL,       -- waiting, kept, failed, not-sampled or blocked.
  reason TEXT,
  again INTEGER NOT NULL DEFAULT 1,   -- Whether a failure can be tried again.
  tries INTEGER NOT NULL DEFAULT 0,
  image TEXT,                -- SHA-256 of the file's bytes, once had.
  bytes INTEGER, modified INTEGER, width INTEGER, height INTEGER, format TEXT, notes TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON rows (host, address) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS lots ON rows (class, draw) WHERE state = 'not-sampled';
CREATE INDEX IF NOT EXISTS addresses ON rows (address);
CREATE INDEX IF NOT EXISTS images ON rows (image, class) WHERE image IS NOT NULL;
"""

_CACHE = 24_000  # KiB of pages: the same for a thousand rows and for many millions.


def connect(file: Path) -> sqlite3.Connection:
    """Open the ledger, or begin one.

    Transactions are begun and ended by hand. The connection may be handed from thread to thread, but
    only one uses it at a time.

    Raises:
        DataError: If the file is no ledger, damaged or of a newer format.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE}")
        database.executescript(_TABLES)
        found = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"The ledger '{file}' cannot be opened: {error}.",
            remedy="Restore a copy of it, or give another folder with --into.",
        ) from None
    if found is None:
        database.execute("INSERT INTO facts VALUES ('format', ?)", (str(FORMAT),))
    elif int(found[0]) > FORMAT:
        raise DataError(
            f"The ledger '{file}' has format {found[0]}; this version reads {FORMAT}.",
            remedy="Upgrade affinage, or give another folder with --into.",
        )
    return database
