"""Full fine-tuning against a plain loop, fastai and Keras: images a second, interleaved.

The same photographs as `loader`, batches of 32 at 224 × 224, crop and flip, random weights, in fp32,
and where `compute.precision=auto` takes bf16 here, in that too, beside Keras' mixed policy. A few steps
stand for an epoch: AFFINAGE_EPOCH_IMAGES (64) images, after a first pass that is not counted. Each
network that is finished is a line of `epoch.jsonl`: stop at any time, and call again to go on; remove
the file to measure anew.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from affinage.models.process import usable_cores
from benchmarks.loader import photographs
from benchmarks.resting import awake, end
from benchmarks.venvs import Peer, python_of, versions_of

CLASSES = 4
NETWORKS: dict[str, dict[str, tuple[str, float]]] = {
    "tf_efficientnet_lite0": {
        "plain": ("tf_efficientnet_lite0", 2.5),
        "fastai": ("tf_efficientnet_lite0", 2.5),
    },
    "efficientnet_b0": {"keras": ("EfficientNetB0", 1.15)},
    "resnet50": {"plain": ("resnet50", 2.5), "fastai": ("resnet50", 2.5), "keras": ("ResNet50", 2)},
    "mobilenetv3_large_100": {
        "plain": ("mobilenetv3_large_100", 2.5),
        "fastai": ("mobilenetv3_large_100", 2.5),
        "keras": ("MobileNetV3Large", 2),
    },
}
"""By our network: what each peer calls its own, and the goal."""

IN_BF16 = ("resnet50",)
"""Networks that bf16 speeds up; it slows the mobile ones down (docs/speed.md)."""

KERAS = Peer(packages=("tensorflow-cpu", "keras", "pillow", "scipy"), pinned=())
KEPT = Path(__file__).with_name("epoch.jsonl")
SHOWN = ("torch", "timm", "fastai", "keras", "tensorflow-cpu", "tensorflow_cpu")
ROUNDS = int(os.environ.get("AFFINAGE_ROUNDS", "2"))


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds for an image, by wall and of the processor."""

    wall: float
    processor: float


class Process:
    """A peer that waits for work in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], peer: str, complaints: IO[str]) -> None:
        self._process, self._peer, self._complaints = process, peer, complaints

    def do(self, work: str, network: str) -> Speed:
        """Let it do something once."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with awake(process):
            process.stdin.write(f"{work} {network}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            self._complaints.seek(0)
            told = self._complaints.read()[-2000:]
            sys.exit(f"{self._peer} ended in {work} of {network}:\n{told}")
        told = json.loads(line)
        return Speed(told["seconds"] / told["images"], told["processor"] / told["images"])


@contextmanager
def peer_process(peer: str, listed: Path, threads: int) -> Iterator[Process]:
    """Start a peer in its own environment, and end it."""
    python = (
        Path(sys.executable)
        if peer == "affinage"
        else python_of(peer, {"keras": KERAS})
        if peer == "keras"
        else python_of(peer)
    )
    script = Path(__file__).with_name("epoch_peers.py")
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}  # All have as many.
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [python, script, peer, listed, str(threads)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, process_group=0,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                complaints.seek(0)
                sys.exit(f"{peer} did not start:\n{complaints.read()[-2000:]}")
            yield Process(process, peer, complaints)
        finally:
            end(process)


def listed_photographs(samples: Path, folder: Path, count: int) -> Path:
    """Write a list of photographs, each with a class of its own choosing: only speed is looked at."""
    paths = photographs(samples, folder, count)
    return write_list(folder / "photographs.tsv", paths)


def write_list(file: Path, paths: list[Path]) -> Path:
    """Write paths and classes as peers read them."""
    rows = [f"{path}\t{number % CLASSES}" for number, path in enumerate(paths)]
    file.write_text("\n".join(rows))
    return file


def epoch(samples: Path) -> dict[str, Any]:
    """Measure the networks that are missing, each way in turn, and give medians and ratios of all."""
    count = int(os.environ.get("AFFINAGE_EPOCH_IMAGES", "64"))
    threads = usable_cores()
    for own in (name for name in NETWORKS if name not in kept_networks(count, threads)):
        found = _measured(samples, own, count, threads)
        line = {"network": own, "images": count, "threads": threads, "speeds": found}
        with KEPT.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(own, found, flush=True)
    return _figures(kept_networks(count, threads), count, threads)


def _measured(
    samples: Path, own: str, count: int, threads: int
) -> dict[str, list[tuple[float, float]]]:
    """Return seconds for an image of every peer and round, after a pass that is not counted."""
    asked = {"affinage": own} | {peer: theirs for peer, (theirs, _) in NETWORKS[own].items()}
    works = [(peer, "epoch", network) for peer, network in asked.items()]
    if own in IN_BF16:
        works += [(peer, "epoch_bf16", asked[peer]) for peer in ("affinage", "keras")]
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        listed = listed_photographs(samples, Path(folder), count)
        peers = {peer: stack.enter_context(peer_process(peer, listed, threads)) for peer in asked}
        for number in range(ROUNDS + 1):
            for peer, work, network in works:
                speed = peers[peer].do(work, network)
                if number:
                    name = peer if work == "epoch" else f"{peer} bf16"
                    found.setdefault(name, []).append((speed.wall, speed.processor))
    return found


def kept_networks(count: int, threads: int, file: Path = KEPT) -> dict[str, dict[str, list[Speed]]]:
    """Return the speeds of all networks that were measured in this way, by network and peer."""
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {
        row["network"]: {
            peer: [Speed(*times) for times in found] for peer, found in row["speeds"].items()
        }
        for row in rows
        if (row["images"], row["threads"]) == (count, threads)
    }


def _figures(found: dict[str, dict[str, list[Speed]]], count: int, threads: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for own, others in NETWORKS.items():
        if own not in found:
            figures[own] = "not enough data to say: not measured yet"
            continue
        mine = median(found[own]["affinage"])
        figures[f"affinage, {own}, images/s (by processor second)"] = per_second(mine)
        for peer, (theirs, goal) in others.items():
            speed = median(found[own][peer])
            figures[f"{peer}, {theirs}, images/s (by processor second)"] = per_second(speed)
            figures[f"{own}, times {peer} (goal: at least {goal})"] = ratio(speed, mine)
        if "affinage bf16" in found[own]:
            figures |= _in_bf16(own, {peer: median(speeds) for peer, speeds in found[own].items()})
    figures["images an epoch, threads, rounds"] = [count, threads, ROUNDS]
    return figures | {"versions": versions()}


def _in_bf16(own: str, speeds: dict[str, Speed]) -> dict[str, Any]:
    """Return what bf16 gives, beside the faster of what Keras can do."""
    theirs = min(speeds["keras"], speeds["keras bf16"], key=lambda speed: speed.wall)
    goal = NETWORKS[own]["keras"][1]
    figures: dict[str, Any] = {
        f"{peer}, {own}, images/s (by processor second)": per_second(speeds[peer])
        for peer in ("affinage bf16", "keras bf16")
    }
    figures[f"{own} in bf16, times keras at its fastest (goal: at least {goal})"] = ratio(
        theirs, speeds["affinage bf16"]
    )
    return figures


def median(speeds: list[Speed]) -> Speed:
    """Return the medians of both times."""
    return Speed(
        statistics.median(speed.wall for speed in speeds),
        statistics.median(speed.processor for speed in speeds),
    )


def per_second(speed: Speed) -> str:
    """Return images a second by wall, and in brackets by processor second."""
    return f"{1 / speed.wall:.1f} ({1 / speed.processor:.1f})"


def ratio(theirs: Speed, own: Speed) -> str:
    """Return how many times faster the own one is."""
    return (
        f"{theirs.wall / own.wall:.2f} by wall, {theirs.processor / own.processor:.2f} by processor"
    )


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found: dict[str, str] = {}
    for environment in ("plain", "fastai", "keras"):
        found |= versions_of(environment)
    return {name: found[name] for name in SHOWN if name in found}
