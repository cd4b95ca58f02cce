"""Shipped recipes held to the scores that stand in their files.

AFFINAGE_RECIPES names recipes by a part of their name; AFFINAGE_THREADS computes with so many threads.
"""

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import affinage
from affinage.records.estimate import Estimate
from affinage.records.shipped import Expected, ShippedRecipe
from affinage.workflows.recipes import list_recipes
from affinage.workflows.reporter import Silent

THREADS = os.environ.get("AFFINAGE_THREADS", "")


def recipes(samples: Path) -> dict[str, Any]:
    """Train every shipped recipe that states a score, and return whether it holds.

    A score holds where the intervals of then and now overlap by more than a chance: the new value lies in
    the stated interval.
    """
    words = os.environ.get("AFFINAGE_RECIPES", "").replace(",", " ").split()
    return {
        f"{recipe.name} on {score.data}": _held(samples, recipe, score)
        for recipe in list_recipes()
        if not words or any(word in recipe.name for word in words)
        for score in recipe.expected
    }


def _held(samples: Path, recipe: ShippedRecipe, score: Expected) -> str:
    wall, processor = time.monotonic(), _processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        run = affinage.train(
            samples / score.data, data=Path(folder) / "data", output=Path(folder) / "run",
            recipe=recipe.name, settings=[f"compute.threads={THREADS}"] if THREADS else [],
            reporter=Silent(),
        )  # fmt: skip
        now = _scored(run.evaluation["test"], score.metric)
    said = (
        f"{score.metric} {now.value:.3f} [{now.low:.3f}, {now.high:.3f}], n = {now.n:,}; "
        f"{time.monotonic() - wall:.0f} s, {_processor_seconds() - processor:.0f} s of processor time"
    )
    held = score.low <= now.value <= score.high
    return f"{said}: {'holds' if held else 'DOES NOT HOLD'} ({score.low:.3f} to {score.high:.3f})"


def _scored(evaluation: Any, metric: str) -> Estimate:
    """Return a score by its name: `accuracy`, or `RBC.mae` of one class that is counted."""
    name, _, score = metric.rpartition(".")
    found: Estimate = getattr(evaluation.per_class[name] if name else evaluation, score)
    return found


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
