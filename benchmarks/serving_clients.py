"""Clients of a server: one connection, many at once, and requests that come at a rate."""

import asyncio
import random
import time


class Connection:
    """Keeps one connection and asks over it."""

    def __init__(self, port: int) -> None:
        self._port, self._pair = port, None

    async def ask(
        self,
        body: bytes,
        *,
        announced: int | str | None = None,
        path: str = "/predict",
        kind: str = "image/jpeg",
        drip: float = 0.0,
    ) -> int:
        """Return the status of the answer to a body; `drip` seconds lie between its 40 pieces."""
        if self._pair is None or self._pair[1].is_closing():
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        size = len(body) if announced is None else announced
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode())
        step = len(body) // 40 + 1 if drip else len(body) + 1
        for at in range(0, len(body), step):
            writer.write(body[at : at + step])
            await asyncio.sleep(drip)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next((int(one.split(":")[1]) for one in lines if "content-length:" in one), 0)
        await reader.readexactly(length)
        if "connection: close" in lines:
            self.close()
        return int(lines[0].split()[1])

    def close(self) -> None:
        """Close the connection."""
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None


async def closed_loop(port: int, pictures: list[bytes], clients: int, images: int) -> int:
    """Send so many images by clients that each ask again once they are answered."""
    left = list(range(images))

    async def client() -> int:
        connection, done = Connection(port), 0
        while left:
            done += await connection.ask(pictures[left.pop() % len(pictures)]) == 200
        connection.close()
        return done

    return sum(await asyncio.gather(*[client() for _ in range(clients)]))


async def open_loop(
    port: int, pictures: list[bytes], rate: float, seconds: float, *, paced: bool
) -> list[float]:
    """Return how long requests took that come at a rate, whatever became of those before."""
    draw, free, waited = random.Random(0), [Connection(port) for _ in range(64)], []

    async def one(due: float) -> None:
        connection = free.pop() if free else Connection(port)
        if await connection.ask(draw.choice(pictures)) == 200:
            waited.append(time.monotonic() - due)
        free.append(connection)

    tasks, due = [], time.monotonic()
    end = due + seconds
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.ensure_future(one(due)))
        due += 1 / rate if paced else draw.expovariate(rate)
    await asyncio.gather(*tasks)
    return waited
