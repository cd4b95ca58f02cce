"""Tables of images: `path`, what they show (`label`, `labels` or counts), `split` and further columns."""

import csv
import difflib
import io
import os
import posixpath
import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from affinage.datasets.folders import inside, part_named
from affinage.datasets.places import LEAVES, NO_TARGET, Place, normal_label
from affinage.errors import DataError
from affinage.records.manifest import COUNT, LABELS, SCHEMA, TAG, Status

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
OWN_COLUMNS = (*SCHEMA, "raw_label", "bytes", "modified")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_Row = list[str | None]


PATHS = ("path", "image", "file", "filename", "file_name", "image_path", "filepath")
"""Names under which tables call the file of an image, the first that there is."""


def table_places(file: Path, *, counts: Sequence[str] = ()) -> list[Place]:
    """Return the rows of a table as places relative to the table's folder.

    Header names are read without regard to case; a further column that has a name of the manifest's
    own, such as `width`, is kept as `width_given`. Rows that cannot be used are places
    with a reason.

    Args:
        file: CSV or Parquet. Instead of `label` it may have `labels` (`a;b`), columns `label:NAME` of 0
            and 1, or `count:NAME` of counts; rows then have no label and are kept.
        counts: Further columns that hold counts; they are called `count:NAME` from then on.

    Raises:
        DataError: If the table cannot be read, or lacks `path` or what the images show.
    """
    header, rows, note = (
        _read_parquet(file) if file.suffix.lower() in (".parquet", ".pq") else _read_text(file)
    )
    names = _column_names(header, file, counts)
    find = _Finder(file.parent)
    return [_place(names, line, row, find, note) for line, row in rows if any(row)]


def _read_parquet(file: Path) -> tuple[list[str], Iterator[tuple[str, _Row]], None]:
    try:
        table = pl.read_parquet(file)
        table = table.select(pl.all().cast(pl.String, strict=False))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"The table '{file}' cannot be read as Parquet: {str(error).splitlines()[0]}",
            remedy="Write it again, or give the table as CSV.",
        ) from None
    rows = ((f"row {n}", list(row)) for n, row in enumerate(table.iter_rows(), start=1))
    return table.columns, rows, None


def _read_text(file: Path) -> tuple[list[str], Iterator[tuple[str, _Row]], str | None]:
    text, note = _decode(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",\t;|", key=lambda mark: _fit(_fields(first, mark)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next((row for row in reader if any(field.strip() for field in row)), [])

    def rows() -> Iterator[tuple[str, _Row]]:
        try:
            for row in reader:
                yield f"line {reader.line_num}", [field if field.strip() else None for field in row]
        except csv.Error as error:
            raise DataError(
                f"The table '{file}' cannot be read at line {reader.line_num}: {error}.",
                remedy="Mend that line; a quotation mark that is never closed is the usual cause.",
            ) from None

    return header, rows(), note


def _decode(file: Path) -> tuple[str, str | None]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"The table '{file}' cannot be opened: {error.strerror}.",
            remedy="Check the path, and that you may read it.",
        ) from None
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16"), None
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "table is not UTF-8: read as Windows-1252"


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _fit(fields: Sequence[str]) -> tuple[int, int]:
    names = {field.strip().lower() for field in fields}
    return len(names & {*PATHS, "label", LABELS}), len(fields)


def _column_names(header: Sequence[str], file: Path, counts: Sequence[str]) -> list[str]:
    """Return unique names, `path` among them, in the order of the header."""
    plain = [name.strip() for name in header]
    lower = [name.lower() for name in plain]
    path = next((name for name in PATHS if name in lower), "path")
    _check_header(plain, lower, path, counts, file)
    counted = {name.strip().lower() for name in counts}
    names: list[str] = []
    for position, name in enumerate(plain, start=1):
        own = "path" if name.lower() == path else name.lower()
        if own in ("path", "label", "split") and own not in names:
            names.append(own)
            continue
        unique = name or f"column_{position}"
        if name.lower() in counted:
            unique = f"{COUNT}{name}"
        elif name.lower() == LABELS:
            unique = LABELS
        while unique in names or unique in OWN_COLUMNS:
            unique += "_given"
        names.append(unique)
    return names


def _check_header(
    plain: list[str], lower: list[str], path: str, counts: Sequence[str], file: Path
) -> None:
    """Raise unless there is one column of paths, and what the images show.

    Raises:
        DataError: With the nearest name, where one is near.
    """
    for name in counts:
        if name.strip().lower() not in lower:
            near = difflib.get_close_matches(name.strip().lower(), lower, n=1)
            wanted = plain[lower.index(near[0])] if near else ", ".join(plain[:12])
            raise DataError(
                f"The table '{file}' has no column '{name.strip()}' of counts.",
                remedy=f"Name its own columns, such as {wanted}, in count.columns.",
            )
    if lower.count(path) != 1:
        raise _lacking(path, plain, lower, file)
    shown = counts or any(
        name == LABELS or name.startswith((COUNT, TAG)) for name in (n.lower() for n in plain)
    )
    if lower.count("label") > 1 or (not lower.count("label") and not shown):
        raise _lacking("label", plain, lower, file)


def _lacking(needed: str, plain: list[str], lower: list[str], file: Path) -> DataError:
    found = ", ".join(f"'{name}'" for name in plain[:12]) or "none"
    near = difflib.get_close_matches(needed, lower, n=1)
    hint = f"Rename '{near[0]}' to '{needed}'" if near else "Begin it with a line path,label"
    number = lower.count(needed)
    has = f"{number} columns '{needed}', but needs one" if number else f"no column '{needed}'"
    problem = f"The table '{file}' has {has} (its columns: {found})."
    if needed not in lower and needed != "label" and "url" in lower:
        command = f"affinage collect {shlex.quote(str(file))}"
        return DataError(problem, remedy=f"Download the images of its addresses first: {command}")
    others = [n for n in plain if n and n.lower() not in (*PATHS, "split", "width", "height")]
    named = ",".join(others[:6]) or "NAME,NAME"
    return DataError(
        problem,
        remedy=f"{hint}; path is relative to the table's folder. Counts instead of labels stand in"
        f" columns count:NAME, or are named: --set {shlex.quote(f'count.columns={named}')}",
    )


def _place(names: Sequence[str], line: str, row: _Row, find: "_Finder", note: str | None) -> Place:
    fields = dict(zip(names, row, strict=False))
    path, problem = find(fields.pop("path", None) or "")
    label, split = fields.pop("label", None), fields.pop("split", None)
    columns = {name: fields.get(name) for name in names if name not in ("path", "label", "split")}
    part = part_named(split) if split and split.strip() else None
    if any(row[len(names) :]):
        problem = f"its row of the table has {len(row)} fields, the header {len(names)}"
    status: Status | None = "failed" if problem else None
    reason = problem
    if not problem and "label" in names and normal_label(label) is None:
        status, reason = "excluded", "without a label in the table"
    elif not problem and split and split.strip() and part is None:
        status, reason = "excluded", f"split '{split.strip()}' is not train, validation or test"
    special = note and not f"{path}{label}".isascii()
    return Place(
        path=path or f"({line})",
        label=label,
        part=part,
        columns=columns,
        notes=(note,) if note and special else (),
        status=status,
        reason=reason,
    )


class _Finder:
    """Finds a table's paths under its folder, and refuses those that leave it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._real = os.path.realpath(root)
        self._real_folder = lru_cache(maxsize=4096)(os.path.realpath)

    def __call__(self, text: str) -> tuple[str, str | None]:
        """Return the relative path as it lies on disk, and what is wrong with it, if anything."""
        plain = text.strip()
        if not plain:
            return "", "without a path in the table"
        if "\0" in plain:
            return plain.replace("\0", "%00"), "a path with a null byte"
        if _ADDRESS.match(plain):
            return plain, "an address, not a file: download it first"
        if plain.startswith(("/", "\\")) or _DRIVE.match(plain):
            shown = "…/" + re.split(r"[\\/]", plain)[-1]  # Absolute paths stay out of every report.
            return shown, "an absolute path: write it relative to the table's folder"
        first = posixpath.normpath(_slashes(plain))
        for candidate in dict.fromkeys((text, plain, *_spellings(_slashes(plain)))):
            path = posixpath.normpath(candidate)
            if path.split("/")[0] != ".." and os.path.lexists(self._file(path)):
                return path, self._problem(path)
        leaves = first.split("/")[0] == ".."
        return first, "a path that leaves the table's folder" if leaves else "no such file"

    def _file(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _problem(self, path: str) -> str | None:
        folder, _, name = self._file(path).rpartition("/")
        target = f"{self._real_folder(folder)}/{name}"
        if os.path.islink(target):  # noqa: PTH114 - once for each row.
            target = os.path.realpath(target)
        if not inside(target, self._real):
            return LEAVES
        return None if os.path.exists(target) else NO_TARGET  # noqa: PTH110


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _spellings(path: str) -> tuple[str, str, str]:
    return path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)
