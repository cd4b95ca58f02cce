"""The verb `bench_bundle`: what a bundle costs on the machine at hand."""

from functools import partial
from pathlib import Path

from affinage.bundle.timing import measure_speed
from affinage.errors import ModelError
from affinage.records.bundle import Speed
from affinage.store.bundle import BundleFolder
from affinage.workflows.reporter import Reporter, Silent


def bench_bundle(
    bundle: str | Path,
    *,
    images: int = 200,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Speed:
    """Return size, memory and latency of a bundle on this machine; needs no PyTorch.

    Args:
        bundle: The folder that `affinage export` wrote.
        images: Timed one after the other for each number of threads, from 20.
        threads: The most to compute with, of the processors of this process; all by default.
        reporter: Told of progress.

    Raises:
        RunError: If it is no bundle, or damaged.
        ModelError: If what computes it is not installed, or it is a program of PyTorch.
    """
    told = reporter or Silent()
    folder = BundleFolder(Path(bundle))
    record = folder.read()
    if record.model_format == "torch":
        raise ModelError(
            f"'{folder.name}' is a program of PyTorch, which is not what a device runs.",
            remedy="Export the run with --format onnx, and measure that.",
        )
    return measure_speed(
        folder.path,
        record,
        frame=folder.read_baseline().train.frame,
        images=images,
        threads=threads,
        progress=partial(told.phase, "timing"),
    )
