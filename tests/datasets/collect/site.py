"""A web server on loopback that can be asked to misbehave in every way that servers do."""

import asyncio
import gzip
import hashlib
import io
import struct
import threading
import time
from collections import Counter
from email.utils import formatdate
from functools import lru_cache
from socket import SO_LINGER, SOL_SOCKET

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HTML = b"<!doctype html><html><body>Image not found</body></html>"


@lru_cache(maxsize=1)
def _digits():
    return load_digits().images


@lru_cache(maxsize=4096)
def picture(number: int) -> bytes:
    """A real scanned digit; each number has bytes of its own."""
    images = _digits()
    grey = np.round(images[number % len(images)] * (255 / 16)).astype(np.uint8)
    big = np.kron(grey, np.ones((4, 4), np.uint8))
    big[0, :4] = np.frombuffer(struct.pack(">I", number), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(big).save(buffer, format="PNG")
    return buffer.getvalue()


def name(number: int) -> str:
    return hashlib.sha256(picture(number)).hexdigest()


class Site:
    """Listens on all of 127.0.0.0/8 at one port, in a thread.

    A path is `/KIND/NUMBER.png`: the number says which picture, the kind how it is answered.
    """

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency
        self.asked: Counter[str] = Counter()  # By path.
        self.times: list[tuple[float, str, str]] = []  # When, which host, which path.
        self.active: Counter[str] = Counter()
        self.most_active: Counter[str] = Counter()
        self.headers: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Site":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def url(self, kind: str, number: int = 0, host: int = 1) -> str:
        return f"http://127.0.0.{host}:{self.port}/{kind}/{number}.png"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "0.0.0.0", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _talk(self, reader, writer) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                path = lines[0].split(" ")[1]
                host = next(line[6:] for line in lines if line.lower().startswith("host:"))
                host = host.split(":")[0]
                self.headers = lines
                self.asked[path] += 1
                self.times.append((time.monotonic(), host, path))
                self.active[host] += 1
                self.most_active[host] = max(self.most_active[host], self.active[host])
                try:
                    await asyncio.sleep(self.latency)
                    await self._answer(path, host, writer)
                finally:
                    self.active[host] -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, host: str, writer) -> None:
        kind, _, last = path.lstrip("/").partition("/")
        number = int(last.split(".")[0] or 0) if last.split(".")[0].isdigit() else 0
        answer = getattr(self, f"_{kind.replace('-', '_')}", None)
        if answer is None:
            _send(writer, b"not here", status="404 Not Found")
        else:
            await answer(writer, number, path, host)
        await writer.drain()

    async def _ok(self, writer, number, path, host):
        _send(writer, picture(number))

    async def _robots(self, writer, number, path, host):
        _send(writer, picture(number))

    async def _error(self, writer, number, path, host):
        _send(writer, b"broken", status="500 Internal Server Error")

    async def _html(self, writer, number, path, host):
        _send(writer, HTML)

    async def _empty(self, writer, number, path, host):
        _send(writer, b"")

    async def _soon(self, writer, number, path, host):
        """503 with seconds, then 429 with a date, then the picture."""
        if self.asked[path] == 1:
            _send(writer, b"", status="503 Service Unavailable", more="Retry-After: 1\r\n")
        elif self.asked[path] == 2:
            date = formatdate(time.time() + 1, usegmt=True)
            _send(writer, b"", status="429 Too Many Requests", more=f"Retry-After: {date}\r\n")
        else:
            _send(writer, picture(number))

    async def _flaky(self, writer, number, path, host):
        if self.asked[path] == 1:
            _send(writer, b"", status="502 Bad Gateway")
        else:
            _send(writer, picture(number))

    async def _stall(self, writer, number, path, host):
        await asyncio.sleep(60)

    async def _dribble(self, writer, number, path, host):
        data = picture(number)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        for byte in data:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.1)

    async def _short(self, writer, number, path, host):
        """Announces more than it sends."""
        data = picture(number)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data) + 9}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()

    async def _long(self, writer, number, path, host):
        """Announces less than it sends."""
        data = picture(number)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data) - 40}\r\n\r\n".encode() + data)

    async def _cut(self, writer, number, path, host):
        """Half a picture, with no length announced."""
        data = picture(number)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + data[: len(data) // 2])
        await writer.drain()
        writer.close()

    async def _reset(self, writer, number, path, host):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _noise(self, writer, number, path, host):
        writer.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _huge(self, writer, number, path, host):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n" + b"\x89PNG")
        await asyncio.sleep(30)

    async def _endless(self, writer, number, path, host):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"\0" * 65536 + b"\r\n")
            await writer.drain()

    async def _bomb(self, writer, number, path, host):
        _send(writer, gzip.compress(b"\0" * 50_000_000), more="Content-Encoding: gzip\r\n")

    async def _packed(self, writer, number, path, host):
        _send(writer, gzip.compress(picture(number)), more="Content-Encoding: gzip\r\n")

    async def _chunked(self, writer, number, path, host):
        data = picture(number)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(data), 50):
            piece = data[start : start + 50]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        writer.write(b"0\r\n\r\n")

    async def _circle(self, writer, number, path, host):
        _redirect(writer, f"/circle/{1 - number}.png")

    async def _hops(self, writer, number, path, host):
        _redirect(writer, f"/hops/{number - 1}.png" if number else "/ok/7.png")

    async def _over(self, writer, number, path, host):
        """To another host of the same server."""
        _redirect(writer, self.url("ok", number, host=200))

    async def _tofile(self, writer, number, path, host):
        _redirect(writer, "file:///etc/passwd")

    async def _nowhere(self, writer, number, path, host):
        _redirect(writer, "http://")

    async def _inward(self, writer, number, path, host):
        _redirect(writer, self.url("ok", number, host=99))

    async def _blockedway(self, writer, number, path, host):
        _redirect(writer, self.url("ok", number, host=66))


def _send(writer, body: bytes, *, status: str = "200 OK", more: str = "") -> None:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    writer.write(head.encode() + body)


def _redirect(writer, to: str) -> None:
    _send(writer, b"", status="302 Found", more=f"Location: {to}\r\n")
