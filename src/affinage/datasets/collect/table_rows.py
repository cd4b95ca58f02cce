"""Tables of addresses, `url,label` and any further columns, read as a stream."""

import codecs
import csv
import difflib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from affinage.datasets.tables import OWN_COLUMNS, TABLE_SUFFIXES
from affinage.errors import DataError

Row = tuple[str, str, list[str | None], str | None]
"""Address, label, further fields in the order of the columns, and what is wrong with the row."""

_NEEDED = ("url", "label")
_OWN = (*OWN_COLUMNS, "url", "domain")
_PIECE = 1 << 20
_ROWS = 50_000  # Of a Parquet file at once; each is read on its own, so memory does not grow.


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressTable:
    """A table of addresses, ready to be read.

    Attributes:
        digest: SHA-256 of the file: the same table is not read twice.
        columns: Unique names of the further columns, in the table's order.
        rows: Reads the rows, few at a time.
    """

    digest: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


def open_table(file: Path) -> AddressTable:
    """Open a CSV, TSV or Parquet table of addresses.

    Header names are read without regard to case; a further column with a name of the manifest's own,
    such as `domain`, is kept as `domain_given`.

    Raises:
        DataError: If the file is none, cannot be read, or lacks `url` or `label`.
    """
    if not file.is_file():
        raise DataError(f"There is no table '{file}'.", remedy="Check the path.")
    if file.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"'{file}' is no table.", remedy="Give a .csv, .tsv, .txt or .parquet file."
        )
    if file.suffix.lower() in (".parquet", ".pq"):
        return _open_parquet(file)
    return _open_text(file)


def _open_parquet(file: Path) -> AddressTable:
    digest, _ = _survey(file)
    try:
        header = pl.scan_parquet(file, glob=False).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _no_parquet(file, error) from None
    names = _names(header, file)
    return AddressTable(digest=digest, columns=_further(names), rows=_parquet_rows(file, names))


def _parquet_rows(file: Path, names: Sequence[str]) -> Iterator[Row]:
    lazy, make = pl.scan_parquet(file, glob=False), _row_maker(names)
    start = 0
    while True:
        try:
            piece = lazy.slice(start, _ROWS).collect().select(pl.all().cast(pl.String))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _no_parquet(file, error) from None
        yield from (make(list(fields)) for fields in piece.iter_rows())
        start += _ROWS
        if piece.height < _ROWS:
            return


def _no_parquet(file: Path, error: Exception) -> DataError:
    return DataError(
        f"The table '{file}' cannot be read as Parquet: {str(error).splitlines()[0]}",
        remedy="Write it again, with texts and numbers only, or give the table as CSV.",
    )


def _open_text(file: Path) -> AddressTable:
    digest, encoding = _survey(file)
    with file.open(encoding=encoding, errors=_errors(encoding), newline="") as opened:
        lines = iter(lambda: opened.readline(_PIECE), "")
        first = next((line for line in lines if line.strip()), "")
    delimiter = max(",\t;|", key=lambda mark: _fit(_fields(first, mark)))
    names = _names(_fields(first, delimiter), file)
    rows = _text_rows(file, encoding, delimiter, names)
    return AddressTable(digest=digest, columns=_further(names), rows=rows)


def _text_rows(file: Path, encoding: str, delimiter: str, names: Sequence[str]) -> Iterator[Row]:
    with file.open(encoding=encoding, errors=_errors(encoding), newline="") as opened:
        reader, make = csv.reader(opened, delimiter=delimiter), _row_maker(names)
        try:
            for fields in reader:
                if any(field.strip() for field in fields):
                    break  # The header.
            before = reader.line_num
            for fields in reader:
                if reader.line_num > before + 1 and _holds_rows(fields, delimiter, names):
                    raise DataError(
                        f"The table '{file}' has a quotation mark at line {before + 1} that is not"
                        " closed there: it would hide the rows that follow.",
                        remedy="Close it at the end of its field, or delete it.",
                    )
                before = reader.line_num
                if any(fields):
                    yield make([field if field.strip() else None for field in fields])
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"The table '{file}' cannot be read at line {reader.line_num + 1}: {error}.",
                remedy="Mend that line; a quotation mark that is never closed is the usual cause.",
            ) from None


def _holds_rows(fields: Sequence[str], delimiter: str, names: Sequence[str]) -> bool:
    """Return whether a field that goes over several lines holds other rows of the table."""
    at = names.index("url")
    lines = (line for field in fields for line in field.splitlines()[1:])
    inner = (_fields(line, delimiter) for line in lines)
    return any(
        len(one) == len(names) and one[at].strip().lower().startswith(("http:", "https:"))
        for one in inner
    )


def _survey(file: Path) -> tuple[str, str]:
    """Return a file's SHA-256 and the encoding that its text has, in one pass."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8-sig"
    try:
        with file.open("rb") as opened:
            start = opened.read(2)
            opened.seek(0)
            wide = start in (b"\xff\xfe", b"\xfe\xff")
            while piece := opened.read(_PIECE):
                digest.update(piece)
                if encoding == "utf-8-sig" and not wide:
                    try:
                        decoder.decode(piece)
                    except UnicodeDecodeError:
                        encoding = "cp1252"
    except OSError as error:
        raise DataError(
            f"The table '{file}' cannot be opened: {error.strerror}.",
            remedy="Check the path, and that you may read it.",
        ) from None
    return digest.hexdigest(), "utf-16" if wide else encoding


def _errors(encoding: str) -> str:
    return "replace" if encoding == "cp1252" else "strict"


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _fit(fields: Sequence[str]) -> tuple[int, int]:
    return len({field.strip().lower() for field in fields} & set(_NEEDED)), len(fields)


def _names(header: Sequence[str], file: Path) -> list[str]:
    """Return unique names, `url` and `label` among them, in the order of the header."""
    plain = [name.strip() for name in header]
    lower = [name.lower() for name in plain]
    for needed in _NEEDED:
        if lower.count(needed) != 1:
            found = ", ".join(f"'{name[:40]}'" for name in plain[:12]) or "none"
            near = difflib.get_close_matches(needed, lower, n=1)
            hint = f"Rename '{near[0]}' to '{needed}'" if near else "Begin it with a line url,label"
            if needed in lower:
                hint = f"Keep one '{needed}', and give the others other names"
            raise DataError(
                f"The table '{file}' has {lower.count(needed)} columns '{needed}', but needs one"
                f" (its columns: {found}).",
                remedy=f"{hint}.",
            )
    names: list[str] = []
    for position, name in enumerate(plain, start=1):
        if name.lower() in _NEEDED:
            names.append(name.lower())
            continue
        unique = name or f"column_{position}"
        while unique in names or unique.lower() in _OWN:
            unique += "_given"
        names.append(unique)
    return names


def _further(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in _NEEDED)


def _row_maker(names: Sequence[str]) -> Callable[[list[str | None]], Row]:
    """Return what makes a row of a line's fields; a million rows pass through it."""
    url_at, label_at, wide = names.index("url"), names.index("label"), len(names)
    further_at = [number for number, name in enumerate(names) if name not in _NEEDED]

    def make(fields: list[str | None]) -> Row:
        problem = None
        if len(fields) != wide:
            if any(fields[wide:]):
                problem = f"its row of the table has {len(fields)} fields, the header {wide}"
            fields += [None] * (wide - len(fields))
        further = [fields[at] for at in further_at]
        return fields[url_at] or "", fields[label_at] or "", further, problem

    return make
