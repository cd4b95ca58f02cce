"""A run's folder: the only place that knows the names of its files."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from affinage.errors import RunError
from affinage.records.any_evaluation import EVALUATION
from affinage.records.estimate import Estimate
from affinage.records.evaluation import GoalAnswer, Look
from affinage.records.finding import Finding
from affinage.records.layer_histogram import LayerHistogram
from affinage.records.manifest import Manifest
from affinage.records.part_counts import class_counts, left_out, split_sizes
from affinage.records.plain import from_plain, to_plain
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import dump_recipe, stored_recipe
from affinage.records.run import Environment, ModelCard, RunRecord, StageResult
from affinage.records.signals import Point, Signals, signals_from_json, signals_to_json
from affinage.records.split import Split
from affinage.store.confusions import confusions_csv
from affinage.store.files import (
    append_line,
    make_folder,
    read_json,
    read_lines,
    write_atomically,
    write_json,
    write_text,
)

FORMAT = 1


class RunFolder:
    """A folder that can be moved, read by anything, and resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = self.checkpoints / "model.safetensors"
        self.head = self.checkpoints / "head.safetensors"
        self.report = path / "report.html"
        self.tensorboard = path / "tensorboard"
        self._recipe = path / "recipe.yaml"
        self._state = path / "run.json"
        self._events = path / "events.jsonl"
        self._signals = path / "signals.json"
        self._layers = path / "layers.json"

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def exists(self) -> bool:
        """True where a run was begun here."""
        return self._state.exists()

    @property
    def finished(self) -> bool:
        """True where the run has come to its end."""
        return self.exists and self.state().get("status") == "finished"

    def begin(self, state: dict[str, Any], recipe: Recipe) -> None:
        """Lay the folder down.

        Raises:
            RunError: If there is something else in the folder.
        """
        if self.path.exists() and any(entry.name != ".lock" for entry in self.path.iterdir()):
            raise RunError(
                f"'{self.path}' is not empty.",
                remedy="Give another folder with --output, or go on with a run: --resume RUN",
            )
        self.save_recipe(recipe)
        write_json(self._state, {"format": FORMAT, "status": "running", **state})

    def state(self) -> dict[str, Any]:
        """Return what identifies the run: format, status, creation, data set.

        Raises:
            RunError: If this is not a run's folder or of a newer format.
        """
        if not self._state.exists():
            raise RunError(
                f"'{self.path}' is not a run's folder: it has no {self._state.name}.",
                remedy="Point at the folder that `affinage train` printed.",
            )
        state: dict[str, Any] = read_json(self._state)
        if state.get("format") != FORMAT:
            raise RunError(
                f"'{self.path}' has format {state.get('format')}; this version reads {FORMAT}.",
                remedy="Install the version of affinage that wrote it, or train again.",
            )
        return state

    def update_state(self, **changes: Any) -> None:
        """Change some entries of the run's state."""
        write_json(self._state, {**self.state(), **changes})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing here; the lock ends with the process, however it dies.

        Raises:
            RunError: If another process is at work here.
        """
        make_folder(self.path)
        handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"Another process is working on '{self.path}'.",
                    remedy="Wait for it, or give another folder with --output.",
                ) from None
            yield
        finally:
            os.close(handle)

    # The recipe, the data, the machine.

    def save_recipe(self, recipe: Recipe) -> None:
        """Keep the recipe, resolved as far as is known."""
        write_text(self._recipe, dump_recipe(recipe))

    def recipe(self) -> Recipe:
        """Return the recipe, as resolved."""
        return stored_recipe(self.recipe_text())

    def recipe_text(self) -> str:
        """Return the recipe as YAML."""
        self.state()
        return self._recipe.read_text(encoding="utf-8")

    def save_data(self, manifest: Manifest, split: Split) -> None:
        """Keep what the run is about: every image, and which part it is in."""
        write_atomically(self.path / "manifest.parquet", manifest.table.write_parquet)
        rows = [
            (image, part)
            for part in ("train", "validation", "test")
            for image in sorted(getattr(split, part))
        ]
        table = pl.DataFrame(rows, schema={"image": pl.String, "part": pl.String}, orient="row")
        write_atomically(self.path / "split.parquet", table.write_parquet)
        write_json(
            self.path / "data.json",
            {
                "sources": manifest.sources,
                "label_order": manifest.label_order,
                "closed_set": split.closed_set,
                "carved": split.carved,
            },
        )

    def data(self) -> tuple[Manifest, Split] | None:
        """Return manifest and split; None where the run had not come so far."""
        if not (self.path / "data.json").exists():
            return None
        facts = read_json(self.path / "data.json")
        try:
            table = pl.read_parquet(self.path / "manifest.parquet")
            parts = pl.read_parquet(self.path / "split.parquet")
        except (pl.exceptions.PolarsError, OSError):
            raise RunError(
                f"The manifest or split in '{self.path}' cannot be read.",
                remedy="Restore them from a copy, or train again.",
            ) from None
        manifest = Manifest(
            table=table, sources=facts["sources"], label_order=tuple(facts["label_order"])
        )
        ids = {
            part: frozenset(parts.filter(pl.col("part") == part)["image"].to_list())
            for part in ("train", "validation", "test")
        }
        split = Split(
            train=ids["train"],
            validation=ids["validation"],
            test=ids["test"],
            closed_set=facts["closed_set"],
            carved=facts["carved"],
        )
        return manifest, split

    def save_environment(self, environment: Environment) -> None:
        """Keep versions and hardware."""
        write_json(self.path / "environment.json", to_plain(environment))

    def save_findings_so_far(self, findings: list[Finding]) -> None:
        """Keep what was found before the training, for a resumed run."""
        write_json(self.path / "findings.json", to_plain(tuple(findings)))

    def findings_so_far(self) -> list[Finding]:
        """Return what was found so far."""
        path = self.path / "findings.json"
        return [from_plain(Finding, item) for item in read_json(path)] if path.exists() else []

    def seconds(self) -> dict[str, float]:
        """Return the time spent by phase, over all sittings."""
        path = self.path / "seconds.json"
        seconds: dict[str, float] = read_json(path) if path.exists() else {}
        return seconds

    def keep_seconds(self, phase: str, seconds: float) -> None:
        """Keep the time spent in a phase."""
        write_json(self.path / "seconds.json", {**self.seconds(), phase: round(seconds, 3)})

    # What happened.

    def event(self, kind: str, **facts: Any) -> None:
        """Append one event to the log."""
        append_line(self._events, {"event": kind, **facts})

    def events(self) -> list[dict[str, Any]]:
        """Return all events."""
        return read_lines(self._events)

    def observe(self, point: Point) -> None:
        """Append one point of a curve to the log."""
        self.event("point", **to_plain(point))

    def save_signals(self, signals: Signals) -> None:
        """Keep what was seen of the training beside its curves."""
        write_json(self._signals, signals_to_json(signals))

    def save_layer_histograms(self, found: tuple[LayerHistogram, ...]) -> None:
        """Keep how the weights of layers were spread, after every epoch."""
        write_json(self._layers, [to_plain(one) for one in found])

    def layer_histograms(self) -> tuple[LayerHistogram, ...]:
        """Return how the weights of layers were spread; nothing where no layer was trained."""
        if not self._layers.exists():
            return ()
        return tuple(from_plain(LayerHistogram, one) for one in read_json(self._layers))

    @property
    def was_watched(self) -> bool:
        """Whether steps of a training were watched; heads on features take none."""
        return self._signals.exists()

    def watched(self) -> Signals:
        """Return all that is known of the training: its curves, and what was seen of its steps."""
        if not self.was_watched:
            return self.signals()
        kept = signals_from_json(read_json(self._signals))
        return replace(kept, points=self.signals().points)

    def signals(self) -> Signals:
        """Return the curves; where a resumed run measured a point again, the later one."""
        points: dict[tuple[str, str, str, float], Point] = {}
        for event in self.events():
            if event.get("event") == "point":
                facts = {key: value for key, value in event.items() if key != "event"}
                point = from_plain(Point, facts)
                points[point.stage, point.series, point.on, point.epoch] = point
        return Signals(points=tuple(points.values()))

    # What came out.

    def save_stages(self, stages: list[StageResult]) -> None:
        """Keep what the stages did."""
        write_json(self.path / "stages.json", to_plain(tuple(stages)))

    def stages(self) -> list[StageResult]:
        """Return what the stages did so far."""
        path = self.path / "stages.json"
        if not path.exists():
            return []
        return [from_plain(StageResult, value) for value in read_json(path)]

    def save_model_card(self, card: ModelCard) -> None:
        """Keep what is needed to use the weights again."""
        write_json(self.path / "model.json", to_plain(card))

    def model_card(self) -> ModelCard:
        """Return what is needed to use the weights again.

        Raises:
            RunError: If the run has no model yet.
        """
        self.state()
        if not (self.path / "model.json").exists() or not self.model.exists():
            raise RunError(
                f"The run '{self.name}' has no model yet.",
                remedy=f"Finish it: affinage train --resume '{self.path}'",
            )
        return from_plain(ModelCard, read_json(self.path / "model.json"))

    def save_predictions(self, table: pl.DataFrame) -> None:
        """Keep the probabilities of every class for the images of validation and test."""
        write_atomically(self.path / "predictions.parquet", table.write_parquet)

    def predictions(self) -> pl.DataFrame:
        """Return the saved predictions."""
        return pl.read_parquet(self.path / "predictions.parquet")

    def finish(self, record: RunRecord) -> None:
        """Write the results and mark the run as finished."""
        write_json(self.path / "findings.json", to_plain(record.findings))
        write_json(
            self.path / "evaluation.json",
            {
                "format": FORMAT,
                "parts": {part: to_plain(value) for part, value in record.evaluations.items()},
                "goal": to_plain(record.goal) if record.goal else None,
                "looks": to_plain(record.looks),
                "choice": record.choice,
                "own_metrics": to_plain(record.own_metrics),
            },
        )
        if confusions := confusions_csv(record.evaluations):
            write_text(self.path / "confusion.csv", confusions)
        self.update_state(status="finished")

    def record(self) -> RunRecord:
        """Return the finished run.

        Raises:
            RunError: If it is not finished.
        """
        state = self.state()
        if not self.finished:
            raise RunError(
                f"The run '{self.name}' is not finished.",
                remedy=f"Go on with it: affinage train --resume '{self.path}'",
            )
        results = read_json(self.path / "evaluation.json")
        data = self.data()
        if data is None:
            raise RunError(f"The run '{self.name}' has lost its manifest.", remedy="Train again.")
        manifest, split = data
        recipe = self.recipe()
        return RunRecord(
            name=self.name,
            created=state["created"],
            data=state["data"],
            sources=tuple(manifest.sources),
            recipe=self.recipe_text(),
            seed=recipe.seed,
            environment=from_plain(Environment, read_json(self.path / "environment.json")),
            model=self.model_card(),
            split=split_sizes(split),
            class_counts=class_counts(manifest, split),
            left_out=left_out(manifest, split),
            closed_set=split.closed_set,
            carved=split.carved,
            stages=tuple(self.stages()),
            choice=results["choice"],
            evaluations={
                part: from_plain(EVALUATION, value) for part, value in results["parts"].items()
            },
            goal=from_plain(GoalAnswer, results["goal"]) if results["goal"] else None,
            looks=tuple(from_plain(Look, look) for look in results["looks"]),
            findings=tuple(
                from_plain(Finding, item) for item in read_json(self.path / "findings.json")
            ),
            signals=self.signals(),
            seconds=self.seconds(),
            budget_seconds=recipe.budget,
            own_metrics=from_plain(dict[str, dict[str, Estimate]], results.get("own_metrics", {})),
        )
