"""A server under load, against its own engine, and under hostile uploads.

    python -m benchmarks.serving BUNDLE IMAGES [--seconds 10]

The engine computes prepared views in one process, without HTTP. The server, a process of its own,
also decodes, measures and logs. CPU seconds of its process do not count what the client costs.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from affinage.bundle import open_bundle
from affinage.imaging.decode import decode

PORT = 8765


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    files = sorted(path for path in asked.images.rglob("*") if path.suffix in (".jpg", ".png"))[
        :200
    ]
    pictures = [path.read_bytes() for path in files]
    engine = engine_alone(asked.bundle, pictures, asked.seconds)
    files_too = engine_alone(asked.bundle, pictures, asked.seconds, files=True)
    for name, found in (("views", engine), ("files", files_too)):
        print(
            f"engine, {name}    {found[0]:7.1f} images/s   {1000 * found[1]:6.2f} CPU ms an image"
        )
    with tempfile.TemporaryDirectory() as log:
        server = start(asked.bundle, Path(log))
        try:
            asyncio.run(measured(server, pictures, asked.seconds, engine, files_too))
            asyncio.run(hostile(server, pictures, asked.seconds))
        finally:
            server.send_signal(signal.SIGTERM)
            print(f"SIGTERM             ended with {server.wait(20)}")


def engine_alone(
    bundle: Path, pictures: list[bytes], seconds: float, *, files: bool = False
) -> tuple[float, float]:
    """Return images per second and CPU seconds per image of the model, on views or from files."""
    cores = len(os.sched_getaffinity(0))
    reader = open_bundle(bundle, threads=1)
    views = np.stack([reader.view(decode(data).pixels) for data in pictures[:32]])

    def work(until: float) -> int:
        done = 0
        while time.monotonic() < until:
            data = pictures[done % len(pictures)]
            view = reader.view(decode(data).pixels) if files else views[done % 32]
            reader.compute(view[None])
            done += 1
        return done

    work(time.monotonic() + 1)
    before, start = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(cores) as pool:
        done = sum(pool.map(work, [start + seconds] * cores))
    return done / (time.monotonic() - start), (time.process_time() - before) / done


def start(bundle: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "affinage", "serve", str(bundle), "--port", str(PORT)]
    server = subprocess.Popen(
        [*command, "--log", str(log), "--timeout", "5"], stderr=subprocess.DEVNULL
    )
    for _ in range(600):
        time.sleep(0.1)
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=1)
        except OSError:
            continue
        return server
    msg = "the server did not come up"
    raise SystemExit(msg)


def cpu(server: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(server: "subprocess.Popen[bytes]") -> float:
    line = next(
        line
        for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        if "VmRSS" in line
    )
    return int(line.split()[1]) / 1000


class Connection:
    """Keeps one connection and asks over it."""

    async def ask(self, body: bytes, *, announced: int | None = None) -> int:
        """Return the status of the answer to a body."""
        if not hasattr(self, "_pair") or self._pair[1].is_closing():
            self._pair = await asyncio.open_connection("127.0.0.1", PORT)
        reader, writer = self._pair
        size = len(body) if announced is None else announced
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode() + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(
            int(line.split(":")[1]) for line in lines if line.startswith("content-length")
        )
        await reader.readexactly(length)
        if "connection: close" in lines:
            writer.close()
        return int(lines[0].split()[1])

    def close(self) -> None:
        """Close the connection."""
        if hasattr(self, "_pair"):
            self._pair[1].close()


async def measured(
    server: "subprocess.Popen[bytes]",
    pictures: list[bytes],
    seconds: float,
    engine: tuple[float, float],
    files_too: tuple[float, float],
) -> None:
    alone = Connection()
    times = []
    for number in range(60):
        begun = time.monotonic()
        assert await alone.ask(pictures[number % len(pictures)]) == 200
        times.append(time.monotonic() - begun)
    single = statistics.median(times[10:])
    print(f"single image        {1000 * single:7.2f} ms median, by HTTP")
    before, begun = cpu(server), time.monotonic()
    done = await closed_loop(pictures, seconds, clients=16)
    rate = done / (time.monotonic() - begun)
    each = (cpu(server) - before) / done
    print(f"server, 16 clients  {rate:7.1f} images/s   {1000 * each:6.2f} CPU ms an image")
    print(f"of the engine       {rate / engine[0]:7.2f} by wall, the client's share included;"
          f" {engine[1] / each:.2f} by CPU; from files {files_too[1] / each:.2f} by CPU")  # fmt: skip
    for name, paced in (("evenly paced", True), ("random arrivals", False)):
        waited = await open_loop(pictures, 0.7 * rate, seconds, paced=paced)
        p95 = float(np.quantile(waited, 0.95))
        print(
            f"70 %, {name:15s} p95 {1000 * p95:.1f} ms = {p95 / single:.2f} x single (n = {len(waited)})"
        )


async def closed_loop(pictures: list[bytes], seconds: float, *, clients: int) -> int:
    until = time.monotonic() + seconds

    async def client(seed: int) -> int:
        draw, connection, done = random.Random(seed), Connection(), 0
        while time.monotonic() < until:
            done += await connection.ask(draw.choice(pictures)) == 200
        connection.close()
        return done

    return sum(await asyncio.gather(*map(client, range(clients))))


async def open_loop(
    pictures: list[bytes], rate: float, seconds: float, *, paced: bool
) -> list[float]:
    """Return how long requests took that come at a rate, whatever became of those before."""
    draw, free, waited = random.Random(0), [Connection() for _ in range(64)], []

    async def one(due: float) -> None:
        connection = free.pop() if free else Connection()
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


async def hostile(server: "subprocess.Popen[bytes]", pictures: list[bytes], seconds: float) -> None:
    """Overload with broken, large, slow and honest uploads; tell the answers and the memory."""
    until, answers, first = time.monotonic() + seconds, {}, memory(server)

    def count(key: object) -> None:
        answers[key] = answers.get(key, 0) + 1

    async def attacker(seed: int) -> None:
        draw = random.Random(seed)
        while time.monotonic() < until:
            kind, connection, good = draw.randrange(6), Connection(), draw.choice(pictures)
            bodies = {
                0: good,
                1: good[: len(good) // 2],
                2: draw.randbytes(5000),
                3: b"",
                4: good,
                5: good,
            }
            announced = {4: len(good) + 1000, 5: 10**12}.get(kind)
            try:
                async with asyncio.timeout(8):
                    count(await connection.ask(bodies[kind], announced=announced))
            except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
                count(type(error).__name__)
            connection.close()

    await asyncio.gather(*map(attacker, range(96)))
    last = memory(server)
    shown = ", ".join(f"{key}: {value}" for key, value in sorted(answers.items(), key=str))
    print(f"hostile, {seconds:g} s       {shown}")
    print(f"memory              {first:.0f} MB before, {last:.0f} MB after")
    assert await Connection().ask(pictures[0]) == 200


if __name__ == "__main__":
    main()
