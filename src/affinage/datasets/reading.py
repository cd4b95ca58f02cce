"""Reading files: what each one's bytes are, in threads, holding few of them at a time."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id

_CHUNK = 32  # Files to a task: a task for each would cost as much as decoding a small one.
_LARGEST = 1 << 30  # Bytes; no photo is larger, and each thread holds one file.


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one file once it was read.

    Attributes:
        image: SHA-256 of its bytes; None where they could not be read.
        width: Pixels as shown; None where it is no readable image.
        height: Pixels as shown.
        format: What the bytes are, such as JPEG.
        notes: How it was read where that is not plain, "; " between notes.
        bytes: Size of the file; None where it could not be opened.
        modified: Time of its last change, ns since 1970.
        problem: Why it cannot be read as an image; None where it can.
    """

    image: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    notes: str = ""
    bytes: int | None = None
    modified: int | None = None
    problem: str | None = None


def read_all(
    files: Sequence[str],
    *,
    known: Mapping[str, Facts],
    threads: int,
    progress: Callable[[int, int | None], None],
) -> list[Facts]:
    """Return the facts of each file, in the files' order.

    Args:
        files: Absolute paths.
        known: Earlier facts by path; used again where size and time of change are the same.
        threads: How many files are read at once; memory holds no more of them.
        progress: Called with (done, total) after every few files.
    """
    facts: list[Facts] = []
    chunks = (files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK))
    with ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="scan") as pool:
        waiting: deque[Future[list[Facts]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_read_chunk, chunk, known))
                if len(waiting) >= 4 * max(1, threads):
                    facts.extend(waiting.popleft().result())
                    progress(len(facts), len(files))
            for future in waiting:
                facts.extend(future.result())
                progress(len(facts), len(files))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C waits for no queue.
            raise
    return facts


def _read_chunk(files: Iterable[str], known: Mapping[str, Facts]) -> list[Facts]:
    return [_read(file, known.get(file)) for file in files]


def _read(file: str, known: Facts | None) -> Facts:
    try:
        status = os.stat(file)  # noqa: PTH116 - strings throughout: five times faster than Path.
        size, modified = status.st_size, status.st_mtime_ns
        if known is not None and (known.bytes, known.modified) == (size, modified):
            return known
        if not stat.S_ISREG(status.st_mode):
            return Facts(problem="a folder or device, not a file")
        if size > _LARGEST:
            return Facts(problem=f"a file of {size / 1e9:.1f} GB: no image is that large")
        with open(file, "rb") as opened:  # noqa: PTH123
            data = opened.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Facts(problem=f"cannot be opened: {why}")
    return replace(_examine(data), bytes=size, modified=modified)


def _examine(data: bytes) -> Facts:
    image = content_id(data)
    try:
        decoded = decode(data)
    except ImageError as error:
        return Facts(image=image, problem=error.problem.rstrip("."))
    except MemoryError:
        return Facts(problem="needs more memory than there is")
    height, width = decoded.pixels.shape[:2]
    return Facts(
        image=image,
        width=width,
        height=height,
        format=decoded.format,
        notes="; ".join(decoded.notes),
    )
