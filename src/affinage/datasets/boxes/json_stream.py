"""JSON read piece by piece: annotations of gigabytes in the memory of one of their entries."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from affinage.errors import DataError

_SPACE = " \t\n\r"


class JsonStream:
    """The outermost object or list of a JSON file, whose members are read one at a time.

    Each key that `keys` gives must be followed by one `value`, `skip` or a whole `items`.

    Args:
        path: A file in UTF-8, with or without a byte-order mark.
        chunk: Characters read at once.
    """

    def __init__(self, path: Path, *, chunk: int = 1 << 20) -> None:
        self._name = path.name
        self._chunk = chunk
        self._buffer = ""
        self._at = 0
        self._lines = 1
        self._decoder = json.JSONDecoder()
        try:
            self._file = path.open(encoding="utf-8-sig")
        except OSError as error:
            raise DataError(
                f"'{path}' cannot be opened: {error.strerror}.",
                remedy="Check the path, and that you may read it.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def peek(self) -> str:
        """Return the next character that is no space; "" at the end of the file."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _SPACE:
                    return self._buffer[self._at]
                self._at += 1
            if not self._more():
                return ""

    def keys(self) -> Iterator[str]:
        """Yield the keys of the object that begins here."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._broken("a name in quotation marks is missing")
            self._expect(":")
            yield key
            if not self._goes_on("}"):
                return

    def items(self) -> Iterator[Any]:
        """Yield the values of the list that begins here; nothing where another value stands."""
        if self.peek() != "[":
            self.value()
            return
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if not self._goes_on("]"):
                return

    def value(self) -> Any:
        """Return the value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if not self._more(double=True):
                    raise self._broken(error.msg, error.pos) from None
                continue
            except (RecursionError, ValueError) as error:
                why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise self._broken(why) from None
            if len(self._buffer) - end < 4 and self._more():
                continue  # A number may go on in what was not read yet: 1 is the start of 1e+5.
            self._at = end
            return value

    def finish(self) -> None:
        """Make sure that nothing follows.

        Raises:
            DataError: If something does.
        """
        if self.peek():
            raise self._broken("something follows the end")

    def _expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise self._broken(f"'{mark}' is missing")
        self._at += 1

    def _goes_on(self, end: str) -> bool:
        mark = self.peek()
        if mark not in (",", end) or not mark:
            raise self._broken(f"',' or '{end}' is missing")
        self._at += 1
        return mark == ","

    def _more(self, *, double: bool = False) -> bool:
        """Read on; return whether there was anything left. Doubling keeps huge values linear."""
        rest = len(self._buffer) - self._at
        try:
            piece = self._file.read(max(self._chunk, rest if double else 0))
        except (UnicodeDecodeError, OSError):
            raise DataError(
                f"{self._name} is no text in UTF-8, so it is no JSON.",
                remedy="Export the annotations again.",
            ) from None
        if not piece:
            return False
        self._lines += self._buffer.count("\n", 0, self._at)
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return True

    def _broken(self, why: str, at: int | None = None) -> DataError:
        place = min(self._at if at is None else at, len(self._buffer))
        line = self._lines + self._buffer.count("\n", 0, place)
        return DataError(
            f"{self._name} is not whole JSON: line {line:,}: {why[:1].lower()}{why[1:]}.",
            remedy="Export the annotations again; a file cut off on the way is the usual cause.",
        )


def json_list(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON file that is one list, holding one of them at a time.

    Raises:
        DataError: If it is broken, or no list of objects.
    """
    with JsonStream(path) as stream:
        if stream.peek() not in ("[", ""):
            raise DataError(
                f"{path.name} is not a list.", remedy="Give the file as its program wrote it."
            )
        for row in stream.items():
            if not isinstance(row, dict):
                raise DataError(
                    f"{path.name} is not a list of objects: it holds {str(row)[:40]!r}.",
                    remedy="Give the file as its program wrote it.",
                )
            yield row
        stream.finish()
