"""Bodies of requests, read within bounds of size, time and memory."""

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from affinage.serving.answering import Upload
from affinage.serving.limits import Limits

_NAME = 120


class Refused(Exception):  # noqa: N818 - it is an answer.
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str, seconds: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.seconds = status, reason, seconds


class Intake:
    """Reads bodies; the bytes of all that are held at a time are bounded together.

    Args:
        limits: Of size, number, time and memory.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._held = limits, 0

    @property
    def held(self) -> int:
        """Bytes of bodies that are held now."""
        return self._held

    async def uploads(self, request: Request) -> list[Upload]:
        """Return the images of a request: files of a form, or one as the body itself.

        The bytes count as held until `release`.

        Raises:
            Refused: If it is too large, too slow, broken, or holds no image.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._limits.body:
            raise self._too_large()
        taken = 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                body = bytearray()
                async for piece in request.stream():
                    taken += len(piece)
                    self._held += len(piece)
                    self._check(taken)
                    body += piece
                return await self._images(request, bytes(body))
        except TimeoutError:
            raise Refused(408, f"The body took longer than {self._limits.seconds:g} s.") from None
        except ClientDisconnect:
            raise Refused(400, "The body ended early.") from None
        finally:
            self._held -= taken

    def hold(self, uploads: list[Upload]) -> int:
        """Count the bytes of images as held, and return how many there are."""
        size = sum(len(one.data) for one in uploads)
        self._held += size
        return size

    def release(self, size: int) -> None:
        """Count so many bytes as held no longer."""
        self._held -= size

    def _check(self, taken: int) -> None:
        if taken > self._limits.body:
            raise self._too_large()
        if self._held > self._limits.held * 1_000_000:
            raise Refused(503, "Too many bodies are being read at once.", seconds=1)

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._limits.megabytes} MB.")

    async def _images(self, request: Request, body: bytes) -> list[Upload]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            found = await self._of_form(request, body)
        elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
            found = [Upload(name=_name(unquote(request.headers.get("x-file-name", ""))), data=body)]
        else:
            raise Refused(
                415, f"A body of type '{kind[:60]}' is not read: send an image, or a form."
            )
        if not found or not any(one.data for one in found):
            raise Refused(400, "No image was sent: send it as the body, or as a file of a form.")
        return found

    async def _of_form(self, request: Request, body: bytes) -> list[Upload]:
        async def once() -> AsyncGenerator[bytes]:
            yield body

        parser = MultiPartParser(
            request.headers, once(), max_files=self._limits.images, max_fields=8, max_part_size=4096
        )
        # The body is in memory and bounded already: nothing is to be spooled to disk.
        parser.spool_max_size = self._limits.body + 1
        try:
            form = await parser.parse()
        except (MultiPartException, FormParserError, KeyError, ValueError) as error:
            text = getattr(error, "message", None) or str(error)
            status = 413 if "Too many" in text else 400
            raise Refused(status, f"The form cannot be read: {text[:200]}") from None
        try:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            return [Upload(name=_name(one.filename), data=await one.read()) for one in files]
        finally:
            await form.close()


def _name(given: str | None) -> str:
    """Return a name without folders and without what no name has."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:_NAME]
