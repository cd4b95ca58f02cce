"""What a bundle costs on this machine: size, memory, and how long one image takes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affinage.bundle.machine import cores, processor
from affinage.bundle.passes import open_pass
from affinage.bundle.reader import BundleReader
from affinage.records.bundle import Bundle, Latency, Speed
from affinage.store.bundle import BundleFolder

WARM_UP = 5
_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}

Progress = Callable[[int, int], None]


def measure_speed(
    path: Path,
    record: Bundle,
    *,
    frame: tuple[int, int],
    images: int = 100,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Speed:
    """Return what a bundle costs here: one image at a time, from its pixels to its answer.

    Decoding is left out: it costs the same without a model.

    Args:
        path: The bundle's folder.
        record: What is known of it.
        frame: Width and height of the images, pixels.
        images: Timed for each number of threads, at least 20; the 99th percentile wants 100.
        threads: The most to compute with, of the processors of this process; all of them where None.
        progress: Told (done, total) images.
    """
    folder = BundleFolder(path)
    width, height = frame
    most = min(threads or cores(), cores())  # More than there are only wait for each other.
    latencies = []
    for place, count in enumerate(_counts(most)):
        run = open_pass(path, record, threads=count)
        reader = BundleReader(folder, record, run)
        spent = []
        for number, seconds in enumerate(_seconds(reader, (height, width), images)):
            spent.append(1000 * seconds)
            if progress is not None:
                progress(place * images + number + 1, len(_counts(most)) * images)
        median, p95, p99 = np.percentile(spent, [50, 95, 99]).tolist()
        latencies.append(
            Latency(threads=count, images=images, median_ms=median, p95_ms=p95, p99_ms=p99)
        )
    name = _RUNTIMES[record.model_format]
    return Speed(
        processor=processor(),
        cores=cores(),
        runtime=f"{name} {version(name)}",
        size_mb=sum(one.stat().st_size for one in folder.models(record)) / 1e6,
        peak_mb=_peak(path),
        frame=(width, height),
        latencies=tuple(latencies),
    )


def _counts(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4…, and the most."""
    powers = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*powers, most)


def _seconds(reader: BundleReader, shape: tuple[int, int], images: int) -> Iterator[float]:
    random = np.random.default_rng(0)
    frames: list[NDArray[np.uint8]] = [
        random.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(4)
    ]
    for number in range(WARM_UP + images):
        start = time.perf_counter()
        reader.predict(frames[number % len(frames)])
        seconds = time.perf_counter() - start
        if number >= WARM_UP:
            yield seconds


def _peak(path: Path) -> float | None:
    """Return the most memory that a fresh process holds which predicts from the bundle, MB."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module.
        [sys.executable, "-m", "affinage.bundle.footprint", str(path)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    try:
        return float(done.stdout)
    except ValueError:
        return None
