"""The training loader against named peers, interleaved on the same photographs.

Photographs are the sample set's mushrooms of at least 330 pixels, resaved at 500 × 375 (quality 85)
once, so that every machine and peer reads the same sizes; AFFINAGE_PHOTOS names a folder of others,
taken as they are.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import affinage.models  # noqa: F401 - Tunes the allocator, as in every training.
from affinage.imaging.batches import Item, Source, augmented_batches, decoded
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.levels import normalised, table_of
from affinage.imaging.pixels import PixelReader, keeping, needed_side
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings
from benchmarks.resting import awake, end
from benchmarks.venvs import Peer, python_of, versions_of

PEERS: dict[str, tuple[str, Peer]] = {
    "ImageDataGenerator": (
        "keras", Peer(packages=("tensorflow-cpu", "keras", "pillow", "scipy"), pinned=())
    ),
    "torchvision": (
        "plain", Peer(packages=("torch", "torchvision", "timm", "safetensors", "pillow"))
    ),
    "albumentations": (
        "albumentations", Peer(packages=("albumentations", "opencv-python-headless"), pinned=())
    ),
    "DALI": ("dali", Peer(packages=("nvidia-dali-cuda120", "numpy"), pinned=())),
}  # fmt: skip
SHOWN = ("keras", "tensorflow-cpu", "torchvision", "albumentations", "opencv-python-headless",
         "nvidia-dali-cuda120")  # fmt: skip
ROUNDS = int(os.environ.get("AFFINAGE_ROUNDS", "5"))
THREADS = 2
IMAGES = 512
VIEW = Preprocessing(interpolation="bilinear")  # As the peers' filters.
TURNED = AugmentSettings(crop=0.5, rotation=20)
UPRIGHT = AugmentSettings(crop=0.5)

Pass = Callable[[], tuple[int, float, float]]
"""One pass over the images: how many, seconds, seconds of processor."""


def loader(samples: Path) -> dict[str, Any]:
    """Measure passes over the same JPEGs, each way in turn, and give medians and ratios."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        paths = photographs(samples, folder)
        ways: dict[str, Pass] = dict(_own(paths, folder / "kept"))
        for peer, (environment, needs) in PEERS.items():
            python = python_of(environment, {environment: needs})
            ways[peer] = stack.enter_context(_peer(peer, python, paths))
        speeds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, one in ways.items():
                images, seconds, processor = one()
                speeds[way].append((images / seconds, images / processor))
    return _figures(speeds, len(paths))


def photographs(samples: Path, folder: Path, count: int = IMAGES) -> list[Path]:
    """Return the photographs to read, in folders as Keras wants them."""
    if given := os.environ.get("AFFINAGE_PHOTOS"):
        return sorted(path for path in Path(given).rglob("*.jp*g"))[:count]
    from PIL import Image

    found: list[Path] = []
    (folder / "photos" / "all").mkdir(parents=True)
    files = sorted((samples / "mushrooms4").rglob("*.jpg"))
    large = [path for path in files if _shorter(path) >= 330]
    for number in range(count):
        pixels = decode(large[number % len(large)].read_bytes()).pixels
        # Another cut of a photograph that was shown already: no two files are the same.
        shift = number // len(large)
        image = Image.fromarray(pixels[shift:, shift:]).resize((500, 375), Image.Resampling.LANCZOS)
        path = folder / "photos" / "all" / f"{number:04d}.jpg"
        image.save(path, "JPEG", quality=85)
        found.append(path)
    return found


def _shorter(path: Path) -> int:
    from affinage.errors import ImageError

    try:
        return min(decode(path.read_bytes()).pixels.shape[:2])
    except ImageError:
        return 0


def _own(paths: list[Path], kept: Path) -> Iterator[tuple[str, Pass]]:
    items = [Item(content_id(path.read_bytes()), path) for path in paths]
    side = needed_side([(VIEW, TURNED)])
    warm = keeping(kept, side=side)
    for _ in _batches(items, TURNED, warm, 0):
        pass
    yield "affinage", _timed(items, TURNED, PixelReader(side=side))
    yield "affinage, every pixel", _timed(items, TURNED, decoded)
    yield "affinage, kept", _timed(items, TURNED, warm)
    yield "affinage, kept, crop and flip alone", _timed(items, UPRIGHT, warm)


def _timed(items: list[Item], settings: AugmentSettings, pixels: Source) -> Pass:
    epochs = iter(range(1, 10**6))

    def one() -> tuple[int, float, float]:
        start, before = time.perf_counter(), time.process_time()
        images = sum(len(batch) for batch in _batches(items, settings, pixels, next(epochs)))
        return images, time.perf_counter() - start, time.process_time() - before

    return one


def _batches(
    items: list[Item], settings: AugmentSettings, pixels: Source, epoch: int
) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Yield what a model's first layer sees, as the model makes it of the loader's batches."""
    table = table_of(VIEW.mean, VIEW.std)
    for batch in augmented_batches(
        items, VIEW, settings, seed=0, epoch=epoch, batch_size=32, threads=THREADS, pixels=pixels
    ):
        yield normalised(batch, table)


@contextmanager
def _peer(peer: str, python: Path, paths: list[Path]) -> Iterator[Pass]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(map(str, paths)))
        listed.flush()
        script = Path(__file__).with_name("loader_peers.py")
        process = subprocess.Popen(
            [python, script, peer, listed.name, str(THREADS), "turned"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            process_group=0,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline() != "ready\n":
                sys.exit(f"{peer} did not start:\n{process.stderr.read()[-2000:]}")

            def one() -> tuple[int, float, float]:
                assert process.stdin is not None
                assert process.stdout is not None
                with awake(process):
                    process.stdin.write("\n")
                    process.stdin.flush()
                    told = json.loads(process.stdout.readline())
                return told["images"], told["seconds"], told["processor"]

            yield one
        finally:
            end(process)


def _figures(speeds: dict[str, list[tuple[float, float]]], images: int) -> dict[str, Any]:
    wall = {way: statistics.median(wall for wall, _ in found) for way, found in speeds.items()}
    processor = {way: statistics.median(used for _, used in found) for way, found in speeds.items()}
    first, later = "affinage", "affinage, kept"
    goals = {
        "ImageDataGenerator": (8, 16), "torchvision": (4, 6), "albumentations": (1.8, None),
        "DALI": (3, None),
    }  # fmt: skip
    figures: dict[str, Any] = {
        f"{way}, images/s (by processor second)": f"{wall[way]:.0f} ({processor[way]:.0f})"
        for way in speeds
    }
    for peer, (decoding, keeping_them) in goals.items():
        for own, goal in ((first, decoding), (later, keeping_them)):
            if goal is not None:
                figures[f"{own} / {peer} (goal: at least {goal})"] = (
                    f"{wall[own] / wall[peer]:.2f} by wall,"
                    f" {processor[own] / processor[peer]:.2f} by processor"
                )
    alone = "affinage, kept, crop and flip alone"
    figures["kept: rotation / crop and flip alone (goal: at least 0.6)"] = (
        f"{wall[later] / wall[alone]:.2f} by wall, {processor[later] / processor[alone]:.2f} by"
        " processor"
    )
    figures["images, threads, rounds"] = [images, THREADS, ROUNDS]
    found = {}
    for environment, _ in PEERS.values():
        found |= versions_of(environment)
    figures["versions"] = {name: found[name] for name in SHOWN if name in found}
    return figures
