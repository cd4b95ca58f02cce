"""The default recipe against a tuned plain script and fastai's `fine_tune`, at the same time.

A cell is one data set, one seed (that cuts the pooled images anew and starts the training) and one tool.
Affinage goes first; the peers then get the images of its split, train on train and validation together,
and have the time that it took, their own start and last look included. The plain script's rate is the
best of three on the validation part of a cut that is no cell's, at the same time.

`AFFINAGE_CLOCK` says which time: `wall` (the default, for a machine of its own: Affinage within
`AFFINAGE_CELL_SECONDS`, 90) or `processor` (for a shared machine, which stretches wall time at random:
Affinage without a budget, or within `AFFINAGE_CELL_SECONDS` of wall time where that is set; the peers with
the processor seconds that it used). Each finished cell is a line of
`finetune_peers.jsonl`: stop at any time, and call again to go on. After `AFFINAGE_MINUTES` no cell begins.
"""

import csv
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.venvs import python_of, versions_of

SETS = {"malaria": 200, "flowers12": 240, "mushrooms4": 200}
SEEDS, TUNING_SEED = range(5), 1000
PEERS = {"plain": "peers_plain.py", "fastai": "peers_fastai.py"}
TOOLS = ("affinage", *PEERS)
RATES = (1e-4, 3e-4, 1e-3)
BACKBONE = "tf_efficientnet_lite0"
WORKERS = {"wall": 2, "processor": 0}
"""Processes that read images for a peer, by clock; their processor time cannot be seen from within."""
Row = list[str]
Asked = tuple[str, int, str]
KEPT = Path(__file__).with_name("finetune_peers.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One finished training.

    Attributes:
        data: Name of the image set.
        seed: Of the cut and of the training.
        tool: Who trained; `plain@RATE` for the trials that choose its rate.
        right: Test images (of a trial: validation images) called what they are.
        n: How many there were.
        seconds: Wall time of the whole process.
        processor: Processor seconds of it and its children.
        clock: `wall` or `processor`: of which time the peers were given what Affinage took.
        limit: Seconds of that clock that it was given; None for Affinage without a budget.
        facts: What else it told: steps, epochs, versions, what the split was.
    """

    data: str
    seed: int
    tool: str
    clock: str
    right: int
    n: int
    seconds: float
    processor: float
    limit: float | None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share called what they are."""
        return self.right / self.n


def finetune_peers(samples: Path) -> dict[str, Any]:
    """Train the cells that are missing, for as long as asked, and return what is known so far."""
    end = time.time() + 60 * float(os.environ.get("AFFINAGE_MINUTES", "1000"))
    clock = os.environ.get("AFFINAGE_CLOCK", "wall")
    if clock not in WORKERS:
        sys.exit(f"AFFINAGE_CLOCK is wall or processor, not {clock}.")
    while time.time() < end and (asked := next_cell(kept_cells(), clock)):
        data, seed, tool = asked
        with tempfile.TemporaryDirectory() as work:
            table = cut_anew(samples / data, Path(work), SETS[data], seed)
            cell = train_cell(asked, table, kept_cells(), clock)
        with KEPT.open("a") as file:
            file.write(json.dumps(asdict(cell)) + "\n")
        print(
            f"{data} {seed} {tool}: {cell.accuracy:.4f} of {cell.n} in {cell.seconds:.0f} s,"
            f" {cell.processor:.0f} of processor, {cell.facts}",
            flush=True,
        )
    return summary([cell for cell in kept_cells() if cell.clock == clock])


def kept_cells(file: Path = KEPT) -> list[Cell]:
    """Return the finished cells; a last line that was cut off is left out."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [Cell(**json.loads(line)) for line in lines if line.endswith("}")]


def next_cell(cells: Sequence[Cell], clock: str) -> Asked | None:
    """Return the first cell that is missing, seed by seed; the dear peer, fastai, after the others."""
    done = {(cell.data, cell.seed, cell.tool) for cell in cells if cell.clock == clock}
    trials = [f"plain@{rate:g}" for rate in RATES]
    asked: list[Asked] = []
    for seed in SEEDS:
        for data in SETS:
            asked.append((data, seed, "affinage"))
            asked += [(data, TUNING_SEED, trial) for trial in trials]
            asked.append((data, seed, "plain"))
    asked += [(data, seed, "fastai") for seed in SEEDS for data in SETS]
    return next((one for one in asked if one not in done), None)


def train_cell(asked: Asked, table: Path, cells: Sequence[Cell], clock: str) -> Cell:
    """Train one cell in a process of its own."""
    data, seed, tool = asked
    if tool == "affinage":
        return _affinage(data, seed, table, clock)
    name, _, trial = tool.partition("@")
    own = [cell for cell in cells if cell.clock == clock and cell.data == data]
    limit = time_allowed(own, seed)
    rate = float(trial) if trial else chosen_rate(own) if name == "plain" else 0.0
    learnt, judged = (_carve if trial else _both)(table)
    weights = _weights(table.parent)
    job = {"train": learnt, "test": judged, "seed": seed, "seconds": limit, "rate": rate,
           "backbone": BACKBONE, "weights": str(weights), "clock": clock,
           "workers": WORKERS[clock]}  # fmt: skip
    python = python_of(name)
    file = table.with_name("job.json")
    file.write_text(json.dumps(job | {"began": time.time() if clock == "wall" else 0.0}))
    told, wall, processor = _timed([str(python), str(KEPT.with_name(PEERS[name])), str(file)])
    found = json.loads(told.splitlines()[-1])
    facts = {key: value for key, value in found.items() if key not in ("right", "n")}
    installed = versions_of(name)
    facts |= {key: installed[key] for key in ("torch", "timm", name) if key in installed}
    return Cell(
        data=data, seed=seed, tool=tool, clock=clock, right=found["right"], n=found["n"],
        seconds=round(wall, 1), processor=round(processor, 1), limit=round(limit, 1),
        facts=facts | ({"rate": rate} if rate else {}),
    )  # fmt: skip


def time_allowed(cells: Sequence[Cell], seed: int) -> float:
    """Return what Affinage took of the clock's time: on this seed's cut, for a trial on the first one."""
    [first] = [
        cell
        for cell in cells
        if cell.tool == "affinage" and cell.seed == (SEEDS[0] if seed == TUNING_SEED else seed)
    ]
    return first.seconds if first.clock == "wall" else first.processor


def cut_anew(source: Path, work: Path, test_size: int, seed: int) -> Path:
    """Copy a set's pooled images and write a table with a stratified test part of the owner's size."""
    images = work / "images"
    shutil.copytree(source, images, ignore=shutil.ignore_patterns("*.csv"))
    paths = _distinct(sorted(path for path in images.rglob("*") if path.is_file()))
    labels = np.array([path.parent.name for path in paths])
    test = _drawn(labels, test_size / len(paths), seed)
    table = images / "cut.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index, path in enumerate(paths):
            part = "test" if index in test else "train"
            writer.writerow([path.relative_to(images).as_posix(), labels[index], part])
    return table


def _distinct(paths: list[Path]) -> list[Path]:
    """Return the files without those whose bytes an earlier one has: a copy would be in two parts."""
    first = {hashlib.sha256(path.read_bytes()).digest(): path for path in reversed(paths)}
    return sorted(first.values())


def _drawn(labels: Any, share: float, seed: int) -> set[int]:
    random = np.random.default_rng(seed)
    drawn: set[int] = set()
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        drawn.update(members[: round(share * len(members))].tolist())
    return drawn


def _both(table: Path) -> tuple[list[Row], list[Row]]:
    """Return path and label of the images to learn from and of those to be judged by."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts: dict[str, list[Row]] = {"train": [], "test": []}
    for row in rows:
        parts[row["split"]].append([str(table.parent / row["path"]), row["label"]])
    return parts["train"], parts["test"]


def _carve(table: Path) -> tuple[list[Row], list[Row]]:
    """Return the same of a trial: the table's own train part, cut 85 to 15."""
    rows, _ = _both(table)
    held = _drawn(np.array([label for _, label in rows]), 0.15, TUNING_SEED)
    learnt = [row for index, row in enumerate(rows) if index not in held]
    return learnt, [rows[index] for index in sorted(held)]


def _affinage(data: str, seed: int, table: Path, clock: str) -> Cell:
    run = table.parent.parent / "run"
    asked = os.environ.get("AFFINAGE_CELL_SECONDS", "90" if clock == "wall" else "")
    seconds = float(asked) if asked else None
    command = [
        str(Path(sys.executable).with_name("affinage")), "train", str(table),
        "--data", str(run.with_name("data")), "--output", str(run),
        "--seed", str(seed), *(["--budget", f"{seconds:g}s"] if seconds else []),
    ]  # fmt: skip
    _, wall, processor = _timed(command)
    import affinage

    record = affinage.Run(run).record
    accuracy = record.evaluations["test"].accuracy
    return Cell(
        data=data, seed=seed, tool="affinage", clock=clock, right=round(accuracy.value * accuracy.n),
        n=accuracy.n, seconds=round(wall, 1), processor=round(processor, 1), limit=seconds,
        facts={
            "kept": [stage.name for stage in record.stages if stage.kept],
            "steps": [stage.facts.get("steps") for stage in record.stages],
        },
    )  # fmt: skip


def _weights(folder: Path) -> Path:
    """Write the backbone's weights of the installed package, under timm's names."""
    from safetensors.torch import save_file

    from affinage.models.build import build_backbone
    from affinage.records.networks import ModelSettings

    file = folder / "weights.safetensors"
    state = build_backbone(ModelSettings()).module.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    return file


def _timed(command: list[str]) -> tuple[str, float, float]:
    """Run a command; return what it printed, its wall time, and its processor time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    # Threads that wait by spinning would steal from neighbours; the same for all three.
    environment = os.environ | {"GOMP_SPINCOUNT": "10000", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command[:2]} ended with {done.returncode}: {done.stderr[-2000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, time.time() - start, used


def chosen_rate(cells: Sequence[Cell]) -> float:
    """Return the rate with the most validation images right; the first of equals."""
    trials = {cell.tool: cell for cell in cells if cell.seed == TUNING_SEED}
    return max(RATES, key=lambda rate: trials[f"plain@{rate:g}"].right)


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return mean accuracies and paired differences in points, with 95 % t intervals.

    Source:
        Student's paired t interval over seeds; a seed cuts the images anew, so it covers the luck of
        the cut and of the training, though not that cuts share images.
    """
    figures: dict[str, Any] = {}
    for data in SETS:
        seeds = [
            {cell.tool: cell for cell in cells if (cell.data, cell.seed) == (data, seed)}
            for seed in SEEDS
        ]
        for tool in TOOLS:
            own = [found[tool] for found in seeds if tool in found]
            if own:
                figures[f"{data} {tool}"] = (
                    f"mean accuracy {np.mean([cell.accuracy for cell in own]):.4f}, median"
                    f" {np.median([cell.seconds for cell in own]):.0f} s and"
                    f" {np.median([cell.processor for cell in own]):.0f} s of processor,"
                    f" n={len(own)} cuts of {own[0].n} test images"
                )
        for peer in PEERS:
            gaps = [
                100 * (found["affinage"].accuracy - found[peer].accuracy)
                for found in seeds
                if {"affinage", peer} <= set(found)
            ]
            figures[f"{data} affinage - {peer}, points (goal: at least 0)"] = interval(gaps)
    return figures


def interval(gaps: Sequence[float]) -> str:
    """Return mean and 95 % t interval of paired differences, or how many there are of them."""
    if len(gaps) < 2:
        return f"not enough data to say: {len(gaps)} of {len(SEEDS)} seeds"
    mean = float(np.mean(gaps))
    half = float(student.ppf(0.975, len(gaps) - 1) * np.std(gaps, ddof=1) / np.sqrt(len(gaps)))
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}], n={len(gaps)} seeds"


if __name__ == "__main__":
    from benchmarks.__main__ import samples as sample_sets

    for key, value in finetune_peers(sample_sets()).items():
        print(f"{key}: {value}")
