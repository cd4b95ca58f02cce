"""What a server accepts, and how much of it at a time."""

from dataclasses import dataclass

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a server; together they bound its memory.

    Attributes:
        megabytes: Of one request's body, at least 1.
        pixels: Largest width × height of an image, checked before anything is unpacked.
        images: In one request.
        formats: Kinds of file that are read.
        seconds: From the first byte of a body to its answer; a slower one is given up.
        waiting: Images that may wait for an answer; one more is refused with 503 and Retry-After.
        held: Bytes of all bodies together, in MB; a body more is refused likewise.
        batch: Images that are computed together at most; 0 where the start of the server measures what
            is fastest here: on some processors several at once take longer each than one.
        linger_ms: How long an image may wait for others to be computed with, milliseconds.
    """

    megabytes: int = 20
    pixels: int = 50_000_000
    images: int = 32
    formats: tuple[str, ...] = FORMATS
    seconds: float = 10.0
    waiting: int = 64
    held: int = 256
    batch: int = 0
    linger_ms: float = 0.0

    @property
    def body(self) -> int:
        """Largest body, bytes."""
        return self.megabytes * 1_000_000
