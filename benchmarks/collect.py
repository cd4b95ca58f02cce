"""Collecting: images per second against img2dataset and a sequential client, and memory over rows.

img2dataset is measured as it comes (one process, 256 threads, resized to 256 px) and tuned to this task
(two processes, no resizing).

The server answers for 50 addresses of 127.0.0.0/8 from a process of its own, 50 ms late, 2 % of the time
with 404. img2dataset needs versions of its own libraries: give the Python of an environment that has it
in AFFINAGE_IMG2DATASET; without it that peer is skipped.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HOSTS, LATENCY, FAILING = 50, 0.05, 50  # Every 50th address fails.
ROWS, SEQUENTIAL_ROWS, ROUNDS = 6_000, 150, 3

_SERVER = """
import asyncio, pathlib, sys
pictures = [p.read_bytes() for p in sorted(pathlib.Path(sys.argv[1]).rglob("*.jpg"))[:700]]
pictures = [data for data in pictures if data.startswith(b"\\xff\\xd8\\xff")]
late, failing = float(sys.argv[2]), int(sys.argv[3])

def answer(number):
    if number % failing == 7:
        return b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n"
    data = pictures[number % len(pictures)]  # A comment makes every image one of its own.
    data = data[:2] + b"\\xff\\xfe\\x00\\x0a" + b"%08d" % number + data[2:]
    return b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(data) + data

class Talk(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.text = transport, b""
    def data_received(self, data):
        self.text += data
        while b"\\r\\n\\r\\n" in self.text:
            head, _, self.text = self.text.partition(b"\\r\\n\\r\\n")
            number = int(head.split(b" ")[1].rpartition(b"/")[2].partition(b".")[0])
            closes = b"onnection: close" in head
            asyncio.get_running_loop().call_later(late, self.send, number, closes)
    def send(self, number, closes):
        if not self.transport.is_closing():
            self.transport.write(answer(number))
            if closes:
                self.transport.close()

async def main():
    server = await asyncio.get_running_loop().create_server(Talk, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

_SEQUENTIAL = """
import csv, pathlib, sys, urllib.error, urllib.request
folder = pathlib.Path(sys.argv[2]); folder.mkdir()
for number, row in enumerate(csv.DictReader(open(sys.argv[1]))):
    try:
        data = urllib.request.urlopen(row["url"], timeout=10).read()
        (folder / f"{number}.jpg").write_bytes(data)
    except urllib.error.HTTPError:
        pass
"""

_PEER = """
import json, sys
from img2dataset import download
if __name__ == "__main__":
    download(
        url_list=sys.argv[1], output_folder=sys.argv[2], input_format="csv", url_col="url",
        caption_col="label", output_format="files", timeout=10, **json.loads(sys.argv[3]),
    )
"""

_TUNED = (
    '{"resize_mode": "no", "processes_count": 2, "thread_count": 128,'
    ' "number_sample_per_shard": 1000}'
)

_OURS = """
import json, pathlib, resource, sys
from affinage.workflows.collect import collect
result = collect(sys.argv[1], sys.argv[2], allow_private=True, **json.loads(sys.argv[3]))
usage = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which a process inherits from the one that started it.
status = pathlib.Path("/proc/self/status").read_text()
most = int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0
print(json.dumps({
    "images": result.images, "rows": result.rows, "failed": result.failed,
    "excluded": result.excluded, "MB": most // 1024,
    "cpu": round(usage.ru_utime + usage.ru_stime, 1), "seconds": result.seconds,
}))
"""


def collect(samples: Path) -> dict[str, Any]:
    """Fetch the same addresses with all three in turn, each as a process from start to end."""
    peer = os.environ.get("AFFINAGE_IMG2DATASET")
    if peer is None:
        print("img2dataset is skipped: AFFINAGE_IMG2DATASET names no Python that has it.")
    with tempfile.TemporaryDirectory() as name, _Server(samples / "flowers12") as port:
        folder = Path(name)
        many, few = _table(folder, ROWS, port), _table(folder, SEQUENTIAL_ROWS, port)
        ways: dict[str, list[Any]] = {
            "sequential": [sys.executable, "-c", _SEQUENTIAL, few],
            "ours": [sys.executable, "-c", _OURS, many],
        }
        if peer is not None:
            ways["img2dataset as it comes"] = [peer, _script(folder), many]
            ways["img2dataset tuned"] = [peer, _script(folder), many]
        speeds: dict[str, list[float]] = {who: [] for who in ways}
        cpu: dict[str, list[float]] = {who: [] for who in ways}
        for number in range(ROUNDS):
            for who, command in ways.items():
                place = folder / f"{who} {number}".replace(" ", "-")
                more = _TUNED if who.endswith("tuned") else "{}"
                seconds, used = _run([str(part) for part in (*command, place, more)])
                rows = SEQUENTIAL_ROWS if who == "sequential" else ROWS
                speeds[who].append((rows - rows // FAILING) / seconds)
                cpu[who].append(used)
        return _figures(speeds, cpu)


def collect_memory(samples: Path) -> dict[str, Any]:
    """Measure memory and restart over tables of growing size, of which 20 images a class are drawn."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, _Server(samples / "flowers12") as port:
        for rows in (1_000, 100_000, 1_000_000):
            table = _table(Path(name), rows, port)
            for time_of in ("first", "again"):
                command = [
                    sys.executable,
                    "-c",
                    _OURS,
                    table,
                    Path(name, str(rows)),
                    '{"per_class": 20}',
                ]
                done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
                figures[f"{rows:,} rows, {time_of}"] = json.loads(done.stdout)
    return figures


def _figures(speeds: dict[str, list[float]], cpu: dict[str, list[float]]) -> dict[str, Any]:
    middle = {who: statistics.median(values) for who, values in speeds.items()}
    goals = {"sequential": 50, "img2dataset as it comes": 5, "img2dataset tuned": 5}
    figures: dict[str, Any] = {f"{who}, images/s": round(value) for who, value in middle.items()}
    for who, goal in goals.items():
        if who in middle:
            ratio = round(middle["ours"] / middle[who], 1)
            figures[f"ours, times {who} (goal: at least {goal})"] = ratio
    for who, values in cpu.items():
        figures[f"{who}, processor seconds"] = round(statistics.median(values), 1)
    figures["rounds"] = {who: [round(value) for value in values] for who, values in speeds.items()}
    return figures


def _run(command: list[str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def _table(folder: Path, rows: int, port: int) -> Path:
    file = folder / f"{rows}.csv"
    lines = (
        f"http://127.0.0.{number % HOSTS + 2}:{port}/{number}.jpg,class {number % 20}\n"
        for number in range(rows)
    )
    with file.open("w") as opened:
        opened.write("url,label\n")
        opened.writelines(lines)
    return file


def _script(folder: Path) -> Path:
    file = folder / "peer.py"  # A file, because its processes import it.
    file.write_text(_PEER)
    return file


class _Server:
    def __init__(self, pictures: Path) -> None:
        self._command = [sys.executable, "-c", _SERVER, str(pictures), str(LATENCY), str(FAILING)]

    def __enter__(self) -> int:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    from benchmarks.__main__ import samples as folder_of_samples

    sections = {"memory": collect_memory, "speed": collect}
    for asked in sys.argv[1:] or ["speed"]:
        for key, value in sections[asked](folder_of_samples()).items():
            print(f"{key}: {value}", flush=True)
