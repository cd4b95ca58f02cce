"""A server beside its own engine, its latency at a load, and under hostile uploads.

    python -m benchmarks.serving speed BUNDLE IMAGES [--rounds 12] [--seconds 10]
    python -m benchmarks.serving hostile BUNDLE IMAGES [--seconds 570]

The engine does what the server does for an image, without HTTP: the same bytes decoded, resized and computed
by the same classes, in a plain loop of as many threads (`from files`; `views` are resized already).
The server also measures each image for drift and logs it. Both are judged by the processor seconds of their
own process, in turns, so that neither the client nor other programs count.
"""

import argparse
import asyncio
import math
import os
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

from affinage.bundle import BundleReader, open_bundle
from affinage.imaging.decode import decode
from benchmarks.serving_clients import Connection, closed_loop, open_loop
from benchmarks.serving_hostile import hostile

IMAGES, CLIENTS = 64, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "hostile"))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    files = sorted(one for one in asked.images.rglob("*") if one.suffix in (".jpg", ".png"))
    pictures = [path.read_bytes() for path in files[:200]]
    if asked.what == "hostile":
        hostile(asked.bundle, pictures, asked.seconds, start=start, memory=memory)
        return
    with tempfile.TemporaryDirectory() as log:
        server, port = start(asked.bundle, Path(log))
        try:
            asyncio.run(speed(server, port, asked.bundle, pictures, asked))
        finally:
            server.send_signal(signal.SIGTERM)
            print(f"SIGTERM             ended with {server.wait(20)}")


def start(bundle: Path, log: Path) -> "tuple[subprocess.Popen[str], int]":
    """Start a server of its own on a free port, and return it with the port once it is ready."""
    command = [sys.executable, "-m", "affinage", "serve", str(bundle), "--port", "0"]
    server = subprocess.Popen(
        [*command, "--log", str(log), "--log-mb", "16", "--timeout", "5"],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in server.stderr:
        if "http://" in line:
            port = int(line.rstrip("/ \n").rpartition(":")[2])
            break
    ThreadPoolExecutor(1).submit(server.stderr.read)  # Else a full pipe would stop the server.
    for _ in range(600):
        time.sleep(0.1)
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1)
        except OSError:
            continue
        return server, port
    msg = "the server did not come up"
    raise SystemExit(msg)


def cpu(server: "subprocess.Popen[str]") -> float:
    """Return the processor seconds of all threads of a process, to the nanosecond."""
    spent = 0
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


def memory(server: "subprocess.Popen[str]") -> float:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if "VmRSS" in line).split()[1]) / 1000


async def speed(server, port, bundle, pictures, asked) -> None:
    reader = open_bundle(bundle, threads=1)
    views = np.stack([reader.view(decode(data).pixels) for data in pictures[:IMAGES]])
    work = {
        "engine, views": lambda: engine(reader, views, None),
        "engine, from files": lambda: engine(reader, None, pictures),
    }
    for each in work.values():
        each()
    await closed_loop(port, pictures, CLIENTS, IMAGES)
    spent: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        for name, each in work.items():
            before = time.process_time()
            each()
            spent.setdefault(name, []).append((time.process_time() - before) / IMAGES)
        for clients in (1, CLIENTS):
            before = cpu(server)
            await closed_loop(port, pictures, clients, IMAGES)
            spent.setdefault(f"server, clients {clients}", []).append(
                (cpu(server) - before) / IMAGES
            )
    for name, times in spent.items():
        ratio = np.array(spent["engine, from files"]) / np.array(times)
        low, high = np.quantile(ratio, [0.25, 0.75])
        print(
            f"{name:20s} {1000 * statistics.median(times):6.2f} CPU ms an image; of the engine from files"
            f" {np.median(ratio):.2f} (quartiles {low:.2f} to {high:.2f}, n = {len(ratio)} turns of {IMAGES})"
        )
    await latency(port, pictures, asked.seconds)


def engine(reader: BundleReader, views, pictures) -> None:
    """Compute as many images as a round has, in a thread for each processor."""

    def one(number: int) -> None:
        view = (
            views[number]
            if pictures is None
            else reader.view(decode(pictures[number % len(pictures)]).pixels)
        )
        reader.compute(view[None])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, range(IMAGES)))


async def latency(port: int, pictures: list[bytes], seconds: float) -> None:
    alone, times = Connection(port), []
    for number in range(110):
        begun = time.monotonic()
        assert await alone.ask(pictures[number % len(pictures)]) == 200
        times.append(time.monotonic() - begun)
    single = statistics.median(times[10:])
    print(f"single image         {1000 * single:6.2f} ms median by HTTP (n = {len(times) - 10})")
    begun = time.monotonic()
    done = await closed_loop(port, pictures, CLIENTS, math.ceil(seconds / single))
    rate = done / (time.monotonic() - begun)
    print(f"{CLIENTS} clients           {rate:6.1f} images/s, the client on the same processors")
    for name, paced in (("evenly spaced", True), ("random arrivals", False)):
        waited = await open_loop(port, pictures, 0.7 * rate, seconds, paced=paced)
        p95 = float(np.quantile(waited, 0.95))
        print(
            f"70 %, {name:15s} p95 {1000 * p95:.1f} ms = {p95 / single:.2f} x single (n = {len(waited)})"
        )
    for servers in (1, 2, 4):
        print(f"in theory            p95 {theory(servers, 0.7):.2f} x single, random arrivals,"
              f" {servers} that answer, each in a fixed time")  # fmt: skip


def theory(servers: int, load: float, *, draws: int = 400_000) -> float:
    """Return the 95th percentile of wait and answer, in answers, of a simulated M/D/c queue at a load."""
    random = np.random.default_rng(0)
    free, now, waited = [0.0] * servers, 0.0, []
    for gap in random.exponential(1 / (load * servers), draws).tolist():
        now += gap
        first = min(range(servers), key=free.__getitem__)
        free[first] = max(now, free[first]) + 1
        waited.append(free[first] - now)
    return float(np.quantile(waited, 0.95))


if __name__ == "__main__":
    main()
