"""F3's ladder on cifar10: what each addition does to a small network, over seeds, with its interval.

Every finished run is one line of `ladder.jsonl` (seed, rung, recipe, which test images were right), so that
the section can be stopped at any time and goes on where it was; a rung whose recipe changed is trained
again. AFFINAGE_SEEDS sets the number of seeds (3 by default), AFFINAGE_RUNGS names rungs by a part of
their name, AFFINAGE_MINUTES begins no other run after so many minutes, AFFINAGE_THREADS computes with so
many threads (1 is best on a machine that others use too).
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import affinage
from affinage.records.shipped import ShippedRecipe
from affinage.workflows.recipes import list_recipes
from affinage.workflows.reporter import Silent

DATA = "cifar10"
RESULTS = Path(__file__).parent / "ladder.jsonl"
THREADS = os.environ.get("AFFINAGE_THREADS", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an addition did to the accuracy on the same test images, in points.

    Attributes:
        value: Mean difference.
        low: Lower end of the 95 % interval over seeds and images.
        high: Upper end.
        seeds: How many pairs of runs.
        images: Test images of each.
    """

    value: float
    low: float
    high: float
    seeds: int
    images: int

    @property
    def verdict(self) -> str:
        """What that means."""
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "cannot tell yet"


def ladder(samples: Path) -> dict[str, Any]:
    """Train what is missing of the ladder, and return what each rung did."""
    seeds, started = int(os.environ.get("AFFINAGE_SEEDS", "3")), time.monotonic()
    minutes = float(os.environ.get("AFFINAGE_MINUTES", "inf"))
    rungs = chosen_rungs(os.environ.get("AFFINAGE_RUNGS", ""))
    done = finished(rungs)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            for rung in rungs:
                late = time.monotonic() - started > 60 * minutes
                if late or (rung.name, seed) in done:
                    continue
                done[rung.name, seed] = _run(samples, Path(folder), rung, seed)
    return summary(rungs, done)


def chosen_rungs(part: str) -> list[ShippedRecipe]:
    """Return the rungs whose name holds one of the words, in their order."""
    every = [recipe for recipe in list_recipes() if recipe.name.startswith("ladder-")]
    words = part.replace(",", " ").split()
    return [rung for rung in every if not words or any(word in rung.name for word in words)]


def finished(rungs: list[ShippedRecipe]) -> dict[tuple[str, int], NDArray[np.bool_]]:
    """Return what was right in every run of these very recipes that was finished."""
    known = {rung.name: _checksum(rung) for rung in rungs}
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    found = [json.loads(line) for line in lines]
    return {
        (one["rung"], one["seed"]): np.array([mark == "1" for mark in one["right"]])
        for one in found
        if known.get(one["rung"]) == one["recipe"]
    }


def effect(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> Effect:
    """Return the paired difference of two recipes.

    Two sources of doubt are added up: that of the seeds, and that of the images. The interval is
    Student's, its degrees of freedom by Welch and Satterthwaite; one seed alone tells of images only.

    Args:
        above: Whether each image was right, shape (seeds, images).
        below: The same of the rung below, with the same seeds.

    Source:
        Welch, The generalization of Student's problem, 1947.
    """
    from scipy.stats import t

    gaps = 100.0 * (above.astype(float) - below)
    seeds, images = gaps.shape
    by_seed = gaps.mean(axis=1).var(ddof=1) / seeds if seeds > 1 else 0.0
    by_image = gaps.mean(axis=0).var(ddof=1) / images
    total = by_seed + by_image
    parts = by_seed**2 / max(1, seeds - 1) + by_image**2 / (images - 1)
    half = float(t.ppf(0.975, total**2 / parts)) * total**0.5 if total else 0.0
    value = float(gaps.mean())
    return Effect(value=value, low=value - half, high=value + half, seeds=seeds, images=images)


def rung_below(rung: ShippedRecipe) -> str:
    """Return the name of the rung that this one is compared with."""
    return rung.about.removeprefix("Ladder, on ").partition(":")[0]


def summary(
    rungs: list[ShippedRecipe], done: dict[tuple[str, int], NDArray[np.bool_]]
) -> dict[str, Any]:
    """Return mean, deviation and effect of each rung over the seeds that it has."""
    figures: dict[str, Any] = {}
    for rung in rungs:
        seeds = {seed for name, seed in done if name == rung.name}
        scores = [100 * done[rung.name, seed].mean() for seed in sorted(seeds)]
        if not scores:
            figures[rung.name] = "not run yet"
            continue
        deviation = f", sd {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
        figures[rung.name] = f"{np.mean(scores):.1f} %{deviation}, {len(scores)} seeds"
        below = rung_below(rung)
        both = sorted(seeds & {seed for name, seed in done if name == below})
        if both:
            found = effect(
                *(np.stack([done[name, seed] for seed in both]) for name in (rung.name, below))
            )
            figures[rung.name] += (
                f"; {found.value:+.1f} points [{found.low:+.1f}, {found.high:+.1f}] over {below}"
                f" ({found.seeds} seeds, {found.images:,} images): {found.verdict}"
            )
    return figures


def _run(samples: Path, folder: Path, rung: ShippedRecipe, seed: int) -> NDArray[np.bool_]:
    place = folder / "run"
    wall, processor = time.monotonic(), time.process_time()
    run = affinage.train(
        samples / DATA, data=folder / "data", output=place, recipe=rung.name, seed=seed,
        settings=[f"compute.threads={THREADS}"] if THREADS else [], reporter=Silent(),
    )  # fmt: skip
    table = pl.read_parquet(run.path / "predictions.parquet").filter(pl.col("part") == "test")
    table = table.sort("image")
    right = (table["label"] == table["predicted"]).to_numpy()
    line = {
        "rung": rung.name,
        "seed": seed,
        "recipe": _checksum(rung),
        "accuracy": round(float(right.mean()), 4),
        "seconds": round(time.monotonic() - wall, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "right": "".join("1" if one else "0" for one in right),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print({key: value for key, value in line.items() if key not in ("right", "recipe")}, flush=True)
    shutil.rmtree(place)
    return right


def _checksum(rung: ShippedRecipe) -> str:
    settings = "\n".join(line for line in rung.text.splitlines() if not line.startswith("#"))
    return hashlib.sha256(settings.encode()).hexdigest()[:16]
