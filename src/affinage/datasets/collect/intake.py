"""From the bytes of an answer to a file named by content: in threads, beside the requests."""

import queue
import threading
import zlib
from collections import deque
from dataclasses import dataclass

from affinage.datasets.collect.settling import Ending, Image
from affinage.datasets.collect.shelf import Shelf, image_path
from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that are unpacked; another was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An answer's bytes, on their way to become an image or a reason.

    Attributes:
        url: As the table has it.
        address: Its number in the ledger.
        tries: Requests that were made for it.
        body: The bytes as sent.
        encoding: Content encoding of the bytes, lower case; empty for none.
    """

    url: str
    address: int
    tries: int
    body: bytes
    encoding: str = ""


class Intake:
    """Threads that unpack, decode, name and keep what arrives.

    Args:
        shelf: Where files go.
        threads: How many work at once.
        max_bytes: Largest file, unpacked.
    """

    def __init__(self, shelf: Shelf, *, threads: int, max_bytes: int) -> None:
        self._shelf = shelf
        self._max_bytes = max_bytes
        self._queue: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._taken_in = [0] * threads
        self._given = 0
        self.endings: deque[Ending] = deque()
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(
                target=self._work, args=(number,), name=f"intake-{number}", daemon=True
            )
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def bytes_waiting(self) -> int:
        """Bytes that were given and are not worked off."""
        return self._given - sum(self._taken_in)

    def give(self, parcel: Parcel) -> None:
        """Take bytes over; only one thread gives."""
        self._given += len(parcel.body)
        self._queue.put(parcel)

    def finish(self) -> None:
        """Work off what was given and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        while (parcel := self._queue.get()) is not None:
            if self.error is None:  # After an error, what is left is fetched again another time.
                try:
                    self.endings.append(self._ending(parcel))
                except BaseException as error:  # noqa: BLE001 - Raised again by who waits for the endings.
                    self.error = error
            self._taken_in[number] += len(parcel.body)

    def _ending(self, parcel: Parcel) -> Ending:
        reason = None
        try:
            data = unpacked(parcel.body, parcel.encoding, self._max_bytes)
            decoded = decode(data)
        except ImageError as error:
            reason = error.problem.rstrip(".")
        except MemoryError:
            reason = "needs more memory than there is"
        if reason is not None:
            return Ending(url=parcel.url, address=parcel.address, tries=parcel.tries, reason=reason)
        name = content_id(data)
        height, width = decoded.pixels.shape[:2]
        image = Image(
            id=name,
            bytes=len(data),
            width=width,
            height=height,
            format=decoded.format,
            notes="; ".join(decoded.notes),
            modified=self._shelf.take(image_path(name, decoded.format), data),
        )
        return Ending(url=parcel.url, address=parcel.address, tries=parcel.tries, image=image)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the bytes of a file from those that were sent.

    Args:
        body: As sent.
        encoding: One of `ENCODINGS`.
        limit: Most bytes that are unpacked: a bomb costs no more.

    Raises:
        ImageError: If they are damaged, cut off, or more than the limit.
    """
    if encoding in ("", "identity"):
        return body
    raw = encoding == "deflate" and body[:1] and body[0] & 0x0F != 8
    try:
        opened = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
        data = opened.decompress(body, limit + 1)
    except zlib.error:
        raise ImageError(f"its {encoding} encoding is damaged.", remedy="Fetch it again.") from None
    if len(data) > limit:
        raise too_large(limit, "unpacked")
    if not opened.eof:
        raise ImageError(f"its {encoding} encoding is cut off.", remedy="Fetch it again.")
    return data


def too_large(limit: int, how: str = "") -> ImageError:
    """Return the error of a file over the limit."""
    words = f" {how}" if how else ""
    return ImageError(
        f"larger{words} than the limit of {limit:,} bytes.", remedy="Raise it with --max-bytes."
    )
