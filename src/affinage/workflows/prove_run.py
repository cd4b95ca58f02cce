"""Prove or refute what the doctor found in a run of ours, by reruns with paired seeds."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from affinage.errors import AffinageError, RecipeError
from affinage.metrics.paired_runs import paired_mean
from affinage.records.evaluation import Evaluation
from affinage.records.manifest import Manifest
from affinage.records.recipe import Recipe
from affinage.records.signals import Signals
from affinage.records.verdict import Outcome, Verdict
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.workflows.outcomes import WORTHWHILE, marked, unconfirmed
from affinage.workflows.prescribe import changed_recipe
from affinage.workflows.reporter import Silent
from affinage.workflows.train import train

PAIRS = 5
_FEWEST = 2


def prove_run(
    verdicts: tuple[Verdict, ...], folder: RunFolder, signals: Signals, *, seconds: float
) -> tuple[Verdict, ...]:
    """Return verdicts with what reruns say of every finding that a change of the recipe would mend.

    Each rerun fine-tunes on the run's own training images and is scored on its validation part; the test
    part is not looked at. Seeds 0, 1, … serve the recipe as it was and as changed.

    Args:
        verdicts: Of the doctor.
        folder: The run's.
        signals: Of the run.
        seconds: For all reruns together; none begins that would not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="affinage-prove-") as place:
        reruns = _Reruns(folder, Path(place), time.monotonic() + seconds)
        return tuple(
            v if v.finding is None else replace(v, outcome=_outcome(v, reruns, signals))
            for v in verdicts
        )


class _Reruns:
    """Trainings with and without changes; the unchanged ones serve all findings."""

    def __init__(self, folder: RunFolder, place: Path, deadline: float) -> None:
        self.recipe = _blind(folder.recipe())
        self._folder, self._place, self._deadline = folder, place, deadline
        self._longest = sum(folder.seconds().values())
        self._data: DatasetFolder | None = None
        self._known: dict[tuple[str, int], float] = {}

    def fits(self, trainings: int) -> bool:
        """Return whether so many more trainings end before the deadline."""
        return time.monotonic() + trainings * self._longest < self._deadline

    def score(self, recipe: Recipe, seed: int) -> float:
        """Return the accuracy on validation after fine-tuning with a seed."""
        key = (recipe.model_dump_json(), seed)
        if key not in self._known:
            begun = time.monotonic()
            output = self._place / f"run-{len(self._known)}"
            seeded = recipe.model_copy(update={"seed": seed})
            run = train(self._images().path, recipe=seeded, output=output, reporter=Silent())
            measured = run.record.evaluations["validation"]
            if not isinstance(measured, Evaluation) or measured.accuracy.value is None:
                raise RecipeError("There is no accuracy.", remedy="Compare by another score.")
            self._known[key] = measured.accuracy.value
            self._longest = max(self._longest, time.monotonic() - begun)
        return self._known[key]

    def _images(self) -> DatasetFolder:
        """Return the run's images without its test part, their parts given."""
        if self._data is None:
            self._data = DatasetFolder(self._place / "data")
            self._data.save_manifest(_without_test(self._folder))
        return self._data


def _blind(recipe: Recipe) -> Recipe:
    return recipe.model_copy(
        update={
            "split": recipe.split.model_copy(update={"test": 0.0, "given": True}),
            "finetune": recipe.finetune.model_copy(update={"refit": False, "always": True}),
            "goal": None, "budget": None,
        }
    )  # fmt: skip


def _without_test(folder: RunFolder) -> Manifest:
    data = folder.data()
    assert data is not None
    manifest, split = data
    part_of = dict.fromkeys(split.train, "train") | dict.fromkeys(split.validation, "validation")
    table = manifest.table.filter(pl.col("image").is_in(list(part_of))).with_columns(
        pl.col("image").replace_strict(part_of, return_dtype=pl.String).alias("part")
    )
    return Manifest(table=table, sources=manifest.sources, label_order=manifest.label_order)


def _outcome(verdict: Verdict, reruns: _Reruns, signals: Signals) -> Outcome:
    if reruns.recipe.task != "classify" or reruns.recipe.split.closed_set:
        return unconfirmed(
            "only trainings on classes, with a validation part of their own, are rerun"
        )
    if "finetune" not in reruns.recipe.stages:
        return unconfirmed("the run was not fine-tuned")
    if not verdict.changes:
        return unconfirmed("no change of the recipe would mend it; see what would refute it")
    try:
        present = {"finetune.epochs": signals.planned_epochs or 0.0}
        changed = changed_recipe(reruns.recipe, verdict.changes, present=present)
        if changed == reruns.recipe:
            return unconfirmed("the recipe has already what would mend it")
        return _compared(reruns, changed)
    except AffinageError as error:
        return unconfirmed(f"it could not be rerun: {error.problem}")


def _compared(reruns: _Reruns, changed: Recipe) -> Outcome:
    begun, pairs = time.monotonic(), []
    for seed in range(PAIRS):
        if not reruns.fits(2 * max(1, _FEWEST - seed)):
            break
        pairs.append((reruns.score(reruns.recipe, seed), reruns.score(changed, seed)))
    if len(pairs) < _FEWEST:
        return unconfirmed("fewer than two pairs of reruns fit into the time; allow more --minutes")
    before, after = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    outcome = marked(
        paired_mean([b - a for a, b in pairs]), WORTHWHILE,
        f"{len(pairs)} pairs of reruns: accuracy on validation {before:.3f} as it was, {after:.3f} with "
        "the recipe changed",
    )  # fmt: skip
    return replace(outcome, seconds=round(time.monotonic() - begun, 2))
