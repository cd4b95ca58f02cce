"""Tables of what images show in truth, as people and spreadsheets write them."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from affinage.errors import DataError
from affinage.store.files import write_text

_KNOWN = frozenset({"image", "path", "label", "said", "at"})


def read_corrections(path: Path, *, by: Sequence[str] = ("image", "path")) -> list[dict[str, str]]:
    """Return the rows of a table with `label` and one of the columns that say which image.

    Names of columns are read without regard to case; commas, semicolons and tabs part them, whichever does.
    Rows without a label are kept: who reads them says what they mean.

    Args:
        path: CSV in UTF-8, with or without a byte order mark.
        by: Columns that say which image, of which one must be there.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"The table '{path}' cannot be opened: {error.strerror}.",
            remedy="Check the path, and that you may read it.",
        ) from None
    except UnicodeDecodeError:
        raise DataError(
            f"The table '{path}' is not UTF-8.", remedy="Save it as CSV in UTF-8."
        ) from None
    try:
        reader = csv.reader(
            StringIO(text, newline=""), delimiter=_mark(text), skipinitialspace=True
        )
        header, *rows = list(reader) or [[]]
    except csv.Error as error:
        raise DataError(
            f"The table '{path}' cannot be read: {error}.",
            remedy="Mend it; a quotation mark that is never closed is the usual cause.",
        ) from None
    names = _names(header)
    if "label" not in names or not set(by) & set(names):
        has = ", ".join(f"'{name}'" for name in names if name) or "none"
        raise DataError(
            f"'{path}' needs the columns label, and {' or '.join(by)}; it has {has[:200]}.",
            remedy="Name them in its first line, as in the server's corrections.csv.",
        )
    blank = dict.fromkeys(names, "")
    return [blank | dict(zip(names, map(str.strip, row), strict=False)) for row in rows if any(row)]


def write_questions(path: Path, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Write a table to fill in, which `read_corrections` reads.

    Args:
        path: CSV in UTF-8; what is there is replaced.
        rows: The id of each image, what the model said, the name it came by, and why it is asked.
    """
    text = StringIO(newline="")
    table = csv.writer(text)
    table.writerow(("image", "label", "said", "name", "why"))
    for image, said, name, why in rows:
        table.writerow((image, "", said, _as_text(name), why))
    write_text(path, text.getvalue())


def _as_text(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula: it came from whoever sent the image."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t")) else name


def _mark(text: str) -> str:
    """Return what parts the columns: the one that makes most names of the first line known."""
    first = text.partition("\n")[0]
    return max(",;\t", key=lambda mark: len(_KNOWN & set(_names(first.split(mark)))))


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip().strip('"').lower() for name in header]
