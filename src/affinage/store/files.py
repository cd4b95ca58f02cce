"""Writing so that a crash at any moment leaves the old file or the new one, never half of one."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affinage.errors import AffinageError, RunError

_FULL = "No space left on device"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, sync it to disk, then give it its name.

    Args:
        path: Where the file shall be; its folder is made.
        write: Gets the path of an empty file to fill.

    Raises:
        AffinageError: If the disk is full or the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(path, error) from None
    aside = Path(name)
    try:
        write(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from None
    except Exception as error:
        if _FULL in str(error):  # As libraries in Rust word it, in exceptions of their own.
            raise _cannot_write(path, OSError(errno.ENOSPC, _FULL)) from None
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda aside: _fill(aside, data))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document atomically, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the JSON document in a file.

    Raises:
        RunError: If the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path.name} is missing in '{path.parent}'.",
            remedy="Point at a folder that affinage wrote, or run the command again.",
        ) from None
    except (ValueError, OSError) as error:
        raise RunError(
            f"{path.name} in '{path.parent}' cannot be read: {error}",
            remedy="Restore the file from a copy, or run the command again.",
        ) from None


def append_line(path: Path, value: Any) -> None:
    """Append one JSON line and sync it; a line cut by a crash is skipped by `read_lines`."""
    line = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = (
                        b"\n" + line
                    )  # A crash cut the line before: end it, so that ours is whole.
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from None


def read_lines(path: Path) -> list[Any]:
    """Return the JSON values of a file of lines; lines cut by a crash are left out."""
    if not path.exists():
        return []
    values = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        with contextlib.suppress(ValueError):
            values.append(json.loads(line))
    return values


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        AffinageError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _cannot_write(path: Path, error: OSError) -> AffinageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AffinageError(
            f"The disk is full: '{path}' could not be written.",
            remedy="Free some room, then run the same command again, or go on with a training that"
            " has begun: affinage train --resume RUN. Nothing was damaged.",
        )
    return AffinageError(
        f"'{path}' could not be written: {error.strerror or error}.",
        remedy="Choose a place that you may write to, with --data and --output.",
    )
