"""Exports, measured: are answers kept for many networks, and what does int8 cost and gain?

python -m benchmarks.export parity SET NETWORK...   random weights (Lite0-2: trained), fitted head
python -m benchmarks.export int8 SET [NETWORK]      a run on SET, fp32 and int8 on its test part

Each line of `export.jsonl` says how many answers change, what is lost (paired, with its interval), and
the ratios of size and of processor time between fp32 and int8 in ONNX Runtime, image by image in turn.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import affinage
from affinage.bundle.reader import BundleReader, open_bundle
from affinage.metrics.intervals import paired_difference
from affinage.workflows.reporter import Silent

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data"
TURNS = 60


def run_on(name: str, network: str, folder: Path) -> affinage.Run:
    """Train a head on frozen features: the exported numbers are of the whole network all the same."""
    trained = network.startswith("tf_efficientnet_lite")
    return affinage.train(
        DATA / name, data=folder / "data", output=folder / f"{network}-run",
        settings={
            "model.backbone": network, "model.pretrained": trained, "stages": ["features"],
            "compute.threads": 1,
        },
        reporter=Silent(),
    )  # fmt: skip


def parity(name: str, networks: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for network in networks:
            run = run_on(name, network, Path(folder))
            start = time.process_time()
            done = affinage.export(run.path, into=Path(folder) / network, speed=False)
            write(
                {
                    "benchmark": "export parity", "set": name, "network": network,
                    "images": done.parity.images, "changed": done.parity.changed_top1,
                    "max_abs_difference": done.parity.max_abs_difference,
                    "cpu_seconds": round(time.process_time() - start, 1),
                }
            )  # fmt: skip


def int8(name: str, network: str = "tf_efficientnet_lite0") -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        run = run_on(name, network, folder)
        for precision in ("fp32", "int8"):
            affinage.export(run.path, into=folder / precision, precision=precision, speed=False)
        exact, small = (open_bundle(folder / one, threads=1) for one in ("fp32", "int8"))
        tested = sorted(path for path in (DATA / name / "test").rglob("*") if path.is_file())
        right = [
            np.array(
                [one.label == path.parent.name for one, path in zip(answers, tested, strict=True)]
            )
            for answers in (exact.predict_all(tested), small.predict_all(tested))
        ]
        gained = paired_difference(right[1], right[0])
        sizes = [reader.folder.models(reader.record)[0].stat().st_size for reader in (exact, small)]
        write(
            {
                "benchmark": "export int8", "set": name, "network": network, "n": len(tested),
                "accuracy_fp32": float(right[0].mean()), "accuracy_int8": float(right[1].mean()),
                "gained": [gained.value, gained.low, gained.high],
                "size_ratio": sizes[1] / sizes[0], "times_faster": times_faster(exact, small),
                "kept": len(small.record.quantised.kept) if small.record.quantised else 0,
            }
        )  # fmt: skip


def times_faster(exact: BundleReader, small: BundleReader) -> float:
    """Return the ratio of processor time of one view, in turns."""
    kind = exact.record.preprocessing
    view = np.random.default_rng(0).integers(
        0, 256, (1, kind.height, kind.width, 3), dtype=np.uint8
    )
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for reader, times in zip((exact, small), spent, strict=True):
            start = time.process_time()
            reader.compute(view)
            times.append(time.process_time() - start)
    return float(np.median(spent[0]) / np.median(spent[1]))


def write(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)
    with (HERE / "export.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    what, chosen, *more = sys.argv[1:]
    if what == "parity":
        parity(chosen, more)
    else:
        int8(chosen, *more)
