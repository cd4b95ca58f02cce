"""Minutes of overload by hostile and honest clients, with exchanges of the bundle and a kill in between."""

import asyncio
import contextlib
import json
import random
import shutil
import signal
import struct
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from affinage.store.prediction_log import PredictionLog
from benchmarks.serving_clients import Connection

HOSTILE, HONEST, IDLE = 32, 8, 40
GONE = (OSError, EOFError, TimeoutError, ValueError)


def hostile(bundle, pictures, seconds, *, start, memory) -> None:
    """Overload a server, kill it half way, start it again, and tell what became of every request."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        served, other, log = home / "served", home / "other", home / "log"
        for copy in (served, other):
            shutil.copytree(bundle, copy)
        for part in ("first half", "after kill -9"):
            server, port = start(served, log)
            first = memory(server)
            told = asyncio.run(_half(server, port, pictures, seconds / 2, home, memory))
            sizes = told.pop("memory")
            third = len(sizes) // 3
            print(f"{part}: {seconds / 2:g} s")
            for name, found in told.items():
                shown = ", ".join(f"{key}: {n}" for key, n in sorted(found.items(), key=str))
                print(f"  {name:9s} {shown}")
            print(
                f"  memory    {first:.0f} MB at the start; most in each third"
                f" {[round(max(sizes[k * third : (k + 1) * third])) for k in range(3)]} MB"
            )
            assert set(told["honest"]) <= {200, 503}, "an honest request was not answered"
            if part == "first half":
                server.send_signal(signal.SIGKILL)
                server.wait()
        kept = sum(file.stat().st_size for file in log.rglob("*") if file.is_file())
        lines = sum(1 for _ in PredictionLog(log).read())
        print(
            f"log: {kept / 1e6:.1f} MB of 16 allowed, and as much for corrections; {lines} lines read"
        )
        server.send_signal(signal.SIGTERM)
        print(f"SIGTERM: ended with {server.wait(30)}")


async def _half(server, port, pictures, seconds, home, memory):
    until = time.monotonic() + seconds
    told = {"honest": Counter(), "hostile": Counter(), "exchanges": Counter(), "memory": []}

    async def honest(seed: int) -> None:
        draw, connection = random.Random(seed), Connection(port)
        while time.monotonic() < until:
            told["honest"][await connection.ask(draw.choice(pictures))] += 1
            await asyncio.sleep(0.02)

    async def attacker(seed: int) -> None:
        draw = random.Random(1000 + seed)
        while time.monotonic() < until:
            connection, name = Connection(port), draw.choice(list(ATTACKS))
            try:
                async with asyncio.timeout(9):
                    status = await ATTACKS[name](connection, draw, draw.choice(pictures))
                    told["hostile"][f"{name} {status}"] += 1
            except GONE as error:
                told["hostile"][f"{name} {type(error).__name__}"] += 1
            connection.close()

    async def idle() -> None:
        while time.monotonic() < until:
            with contextlib.suppress(*GONE):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST /predict HT")
                await asyncio.sleep(11)
                writer.close()

    async def exchange() -> None:
        number = 0
        while time.monotonic() < until:
            await asyncio.sleep(5)
            number += 1
            aside = home / "aside"
            for here, there in (("served", aside), ("other", "served"), (aside, "other")):
                (home / here).rename(home / there)
            if number % 4 == 0:  # One that is damaged is refused, and the one before is served on.
                model = home / "served" / "model.onnx"
                whole = model.read_bytes()
                model.write_bytes(whole[:-100])
            if number % 2:
                server.send_signal(signal.SIGHUP)
            else:
                status = await Connection(port).ask(b"", path="/reload")
                told["exchanges"][status] += 1
            if number % 4 == 0:
                model.write_bytes(whole)
            told["memory"].append(memory(server))

    await asyncio.gather(
        exchange(), *map(honest, range(HONEST)), *map(attacker, range(HOSTILE)),
        *[idle() for _ in range(IDLE)],
    )  # fmt: skip
    assert server.poll() is None, "the server ended"
    async with asyncio.timeout(30):
        while await Connection(port).ask(pictures[0]) != 200:
            await asyncio.sleep(0.5)
    return told


def _bomb(draw: random.Random) -> bytes:
    """A PNG of a few hundred bytes whose pixels are gigabytes, or just within what is allowed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    side = draw.choice([7_000, 30_000, 2**31 - 1])
    rows = zlib.compress(bytes(7_000 * 3 + 1) * 200, 9)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows)
    return png + chunk(b"IEND", b"")


def _form(parts: int, size: int) -> bytes:
    one = b'--b\r\nContent-Disposition: form-data; name="f%d"; filename="x.jpg"\r\n\r\n%s\r\n'
    return b"".join(one % (number, b"x" * size) for number in range(parts)) + b"--b--\r\n"


def _label(draw: random.Random) -> bytes:
    image = draw.randbytes(32).hex()
    return json.dumps({"image": image, "label": f"label {draw.randrange(10**6)}"}).encode()


ATTACKS = {
    "bomb": lambda c, draw, _: c.ask(_bomb(draw), kind="image/png"),
    "cut": lambda c, draw, good: c.ask(good[: draw.randrange(len(good))]),
    "noise": lambda c, draw, _: c.ask(draw.randbytes(5000)),
    "flipped": lambda c, draw, good: c.ask(_flipped(draw, good)),
    "empty": lambda c, *_: c.ask(b""),
    "too short": lambda c, _, good: c.ask(good, announced=len(good) + 1000),
    "too long": lambda c, _, good: c.ask(good + b"GET / HTTP/1.1\r\n\r\n" * 9, announced=len(good)),
    "huge": lambda c, _, good: c.ask(good, announced=10**12),
    "negative": lambda c, _, good: c.ask(good, announced=-5),
    "drip": lambda c, _, good: c.ask(good, drip=0.3),
    "19 MB": lambda c, draw, _: c.ask(draw.randbytes(19_000_000)),
    "form": lambda c, *_: c.ask(_form(33, 9), kind="multipart/form-data; boundary=b"),
    "fields": lambda c, *_: c.ask(_form(20_000, 1), kind="multipart/form-data; boundary=b"),
    "no end": lambda c, *_: c.ask(_form(2, 9)[:-9], kind="multipart/form-data; boundary=b"),
    "label": lambda c, draw, _: c.ask(_label(draw), path="/correct", kind="application/json"),
    "nested": lambda c, *_: c.ask(b"[" * 9999, path="/correct", kind="application/json"),
    "query": lambda c, *_: c.ask(b"", path="/predict?" + "top=1&" * 4000),
}


def _flipped(draw: random.Random, good: bytes) -> bytes:
    bad = bytearray(good)
    for _ in range(20):
        bad[draw.randrange(len(bad))] = draw.randrange(256)
    return bytes(bad)
