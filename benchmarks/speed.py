"""Speed: start-up, scan, cache, and the full default against a plain script."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import affinage
from affinage.workflows.reporter import Silent

SETTINGS = {"reporter": Silent()}


def _seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def startup(_: Path) -> dict[str, Any]:
    """Time `import affinage` and `affinage --help` against an empty interpreter, interleaved."""
    commands = {
        "empty": [sys.executable, "-c", "pass"],
        "import affinage": [sys.executable, "-c", "import affinage"],
        "affinage --help": [sys.executable, "-m", "affinage", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _round in range(9):
        for name, command in commands.items():
            times[name].append(_seconds(*command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        f"{name}, seconds more than an empty interpreter": round(value - medians["empty"], 3)
        for name, value in medians.items()
        if name != "empty"
    }


def scan(samples: Path) -> dict[str, Any]:
    """Scan 100,000 small files: real thumbnails with a comment that makes each one unique."""
    from affinage.datasets.sources import scan as scan_sources

    originals = [path.read_bytes() for path in sorted((samples / "cifar10").rglob("*.jpg"))[::10]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "small"
        for number in range(100_000):
            data = originals[number % len(originals)]
            comment = b"\xff\xfe\x00\x0a" + f"{number:08d}".encode()
            path = folder / str(number % 10) / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[:2] + comment + data[2:])
        start = time.perf_counter()
        found = scan_sources([folder])
        first = time.perf_counter() - start
        start = time.perf_counter()
        scan_sources([folder], known=found.manifest)
        second = time.perf_counter() - start
    return {
        "files": found.manifest.table.height,
        "first scan, s (goal: at most 60)": round(first, 1),
        "second scan, s": round(second, 1),
    }


def cache(samples: Path) -> dict[str, Any]:
    """Time the features stage with an empty cache and with a full one, both in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = []
        affinage.env()  # torch is loaded: the figures are after start-up.
        for number in range(4):
            start = time.perf_counter()
            affinage.train(
                samples / "flowers12", data=folder / "data", output=folder / f"run{number}",
                stages="features", **SETTINGS,
            )  # fmt: skip
            seconds.append(time.perf_counter() - start)
        again = statistics.median(seconds[1:])
        return {
            "flowers12, features stage, s (goal: at most 15)": round(seconds[0], 1),
            "second run, s": round(again, 1),
            "ratio (goal: at least 5)": round(seconds[0] / again, 1),
        }


def flowers(samples: Path) -> dict[str, Any]:
    """Run the full default on flowers12 as it was split by its owner."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        run = affinage.train(
            samples / "flowers12", data=folder / "data", output=folder / "run", **SETTINGS
        )
        seconds = time.perf_counter() - start
        test = run.evaluation["test"].accuracy
        stages = {stage.name: stage for stage in run.record.stages}
        return {
            "seconds (goal: at most 180)": round(seconds),
            "test accuracy (goal: at least 0.98)": (
                f"{test.value:.4f} [{test.low:.4f}, {test.high:.4f}], n={test.n}"
            ),
            "kept": next(stage.name for stage in stages.values() if stage.kept),
            "validation": {
                key: stage.validation.accuracy.value
                for key, stage in stages.items()
                if stage.validation
            },
        }


def plain(samples: Path) -> dict[str, Any]:
    """Run a plain script of the usual kind on the same parts."""
    figures: dict[str, Any] = {}
    script = Path(__file__).parent / "plain_script.py"
    for name in ("flowers12", "malaria"):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(script), str(samples / name)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        figures[f"plain script on {name}"] = (
            f"{done.stdout.strip()} in {time.perf_counter() - start:.0f} s"
        )
    return figures
