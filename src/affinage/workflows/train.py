"""The verb `train`: from a folder of images to a model, its honest score and its report."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from affinage.errors import DataError, ModelError, RecipeError, RunError
from affinage.models.build import check_name
from affinage.models.parts import Parts, require_parts
from affinage.models.process import usable_cores
from affinage.records.recipe import Recipe
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.mlflow_run import kept_address
from affinage.store.run_folder import RunFolder
from affinage.training.processes import Processes, agreed, joined
from affinage.training.together import leading, lend_a_hand
from affinage.workflows.clock import Clock
from affinage.workflows.env import env
from affinage.workflows.moment import now
from affinage.workflows.opened import data_folder, is_data_folder
from affinage.workflows.places import data_set_name, default_run_folder
from affinage.workflows.recipes import read_settings
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.run import Run
from affinage.workflows.session import Session, make_engine
from affinage.workflows.tracking import tracked
from affinage.workflows.train_phases import work_through

Source = str | Path


def train(
    source: Source | Sequence[Source] | None = None,
    *,
    data: str | Path | None = None,
    output: str | Path | None = None,
    recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    task: str | None = None,
    group: str | None = None,
    stages: str | Sequence[str] | None = None,
    budget: str | float | None = None,
    goal: str | None = None,
    seed: int | None = None,
    closed_set: bool | None = None,
    force: bool | None = None,
    start: str | Path | None = None,
    parts: Parts | None = None,
    resume: str | Path | None = None,
    mlflow: str | None = None,
    reporter: Reporter | None = None,
    started: float | None = None,
    on_begin: Callable[[Path], None] | None = None,
) -> Run:
    """Train a model on a folder of images and return its run.

    Args:
        source: A folder per class, a folder of `train/`, `val/`, `test/` with these, a table with
            `path,label[,split]`, or several of them.
        data: The data set's folder; `affinage-data/NAME` in the working folder by default.
        output: The run's folder; `affinage-runs/NAME-1`, … by default.
        recipe: A recipe, a YAML file, or nested settings.
        settings: `key=value`, or a mapping from keys to values, laid over the recipe.
        task: What is predicted: `classify`, `multilabel` or `count`.
        group: Column whose values must not straddle parts.
        stages: `features`, `finetune`, or both.
        budget: Seconds, or such as `10m`, that the whole may take.
        goal: Such as `accuracy >= 0.95`, answered at the end.
        seed: Seed of every random number.
        closed_set: Validation is the training images on purpose.
        force: Train with settings that contradict each other; the run is marked by a finding.
        start: A finished run to go on from: its weights, and of its head the rows of labels that both
            know. Its model's settings are taken where the recipe has none of its own.
        parts: A network, loss, metrics or transform of your own; see the page on own parts.
        resume: A run's folder to go on with, instead of all of the above but `parts`.
        mlflow: Where MLflow keeps its runs, to be told settings, curves, scores and report as well.
        reporter: Told of progress; plain lines on standard error by default.
        started: `time.monotonic()` when the command began, so that a budget counts all of it.
        on_begin: Told the run's folder as soon as it can be resumed.

    Raises:
        AffinageError: If the settings, the images or the places cannot be used.
    """
    told = reporter or Lines()
    if resume is not None:
        given = {
            "source": source, "data": data, "output": output, "recipe": recipe, "task": task,
            "group": group, "stages": stages, "budget": budget, "goal": goal, "seed": seed,
            "closed_set": closed_set, "settings": tuple(settings) or None, "start": start,
            "force": force, "mlflow": mlflow,
        }  # fmt: skip
        named = [name for name, value in given.items() if value is not None]
        run = Path(resume)
        return _together(lambda processes: _resume(run, told, named, parts, processes))
    if source is None:
        raise DataError(
            "There is nothing to train on.", remedy="Name a folder: affinage train photos/"
        )
    sources = [Path(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    flags = {
        "task": task, "split.group": group, "stages": stages, "budget": budget, "goal": goal,
        "seed": seed, "split.closed_set": closed_set, "force": force,
    }  # fmt: skip
    asked_for = read_settings(recipe, settings, flags, start=_recipe_of(start))
    resolved = asked_for.recipe
    if parts is None or parts.model is None:
        check_name(resolved.model.backbone)
    clock = Clock(resolved.budget, started=started)
    asked = {"address": kept_address(mlflow), "run": None} if mlflow else None

    def lead(processes: Processes) -> Run:
        folder, dataset = _places(sources, data, output)
        with folder.locked():
            folder.begin(
                {
                    "created": now(),
                    "data": dataset.path.name,
                    "data_folder": str(dataset.path.resolve()),
                    "sources": [str(one.resolve()) for one in sources],
                    "start": str(Path(start).resolve()) if start is not None else None,
                    "parts": parts.names if parts is not None else {},
                    "mlflow": asked,
                    "left_out": list(asked_for.left_out),
                    "threads": resolved.compute.threads or usable_cores(),
                },
                resolved,
            )
            if on_begin is not None:
                on_begin(folder.path)
            with _without_trace_of_mistakes(folder), tracked(folder, told) as tracker:
                session = _session(folder, dataset, resolved, clock, told, processes)
                session.mlflow = tracker
                work_through(session, sources, parts)
        return Run(folder.path)

    return _together(lead)


def _together(lead: Callable[[Processes], Run]) -> Run:
    """Let the first process do the work, the others lend a hand; return the run in all of them.

    Raises:
        RunError: In the others, if the first one ended before the run did.
    """
    with joined("cuda" if torch.cuda.is_available() else "cpu") as processes:
        if processes.first:
            with leading(processes):
                run = lead(processes)
            agreed(str(run.path), processes)
            return run
        lend_a_hand(processes)
        try:
            return Run(Path(agreed("", processes)))
        except RuntimeError:
            raise RunError(
                f"Process {processes.rank} of {processes.world} is left alone: the first one ended.",
                remedy="See what process 0 says, and start all of them again with --resume.",
            ) from None


@contextlib.contextmanager
def _without_trace_of_mistakes(folder: RunFolder) -> Iterator[None]:
    """Remove the run's folder where the images or settings cannot be used: nothing could resume it."""
    try:
        yield
    except (DataError, RecipeError, ModelError):
        if folder.data() is None:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _places(
    sources: Sequence[Path], data: str | Path | None, output: str | Path | None
) -> tuple[RunFolder, DatasetFolder]:
    for source in sources:
        if not source.exists():
            raise DataError(
                f"There is no '{source}'.",
                remedy="Name a folder of images, or a table with path and label.",
            )
    here = Path()
    dataset = data_folder(sources, Path(data) if data else None, beside=here)
    name = data_set_name(sources)
    run_folder = Path(output) if output else default_run_folder(name, beside=here)
    for place in (dataset.path, run_folder):
        for source in sources:
            own = place == dataset.path and is_data_folder(source)
            if not own and source.is_dir() and place.resolve().is_relative_to(source.resolve()):
                raise DataError(
                    f"'{place}' lies in the images' own folder, which is only read.",
                    remedy="Choose a place outside of it with --data and --output, "
                    "or run the command from another folder.",
                )
    return RunFolder(run_folder), dataset


def _session(
    folder: RunFolder,
    dataset: DatasetFolder,
    recipe: Recipe,
    clock: Clock,
    reporter: Reporter,
    processes: Processes,
) -> Session:
    # Sums depend on how many threads share them: a run goes on with as many as it began with.
    threads: int = folder.state().get("threads") or recipe.compute.threads or usable_cores()
    torch.set_num_threads(max(1, threads // processes.world))
    return Session(
        folder=folder,
        dataset=dataset,
        recipe=recipe,
        clock=clock,
        reporter=reporter,
        engine=make_engine(recipe, threads=threads),
        environment=env(recipe.compute.device),
        processes=processes,
    )


def _recipe_of(start: str | Path | None) -> Recipe | None:
    """Return the recipe of the run to go on from, if there is one.

    Raises:
        RunError: If that is no finished run.
    """
    if start is None:
        return None
    before = RunFolder(Path(start))
    before.model_card()
    return before.recipe()


def _resume(
    path: Path,
    reporter: Reporter,
    given: Sequence[str],
    parts: Parts | None,
    processes: Processes,
) -> Run:
    folder = RunFolder(path)
    state = folder.state()
    if given:
        raise RunError(
            f"--resume goes on with the run's own images and settings; {', '.join(given)} cannot change.",
            remedy=f"Give nothing else: affinage train --resume '{path}'",
        )
    if folder.finished:
        reporter.say(f"The run '{folder.name}' is finished already.")
        return Run(path)
    require_parts(state.get("parts", {}), parts, to="go on")
    recipe = folder.recipe()
    dataset = DatasetFolder(Path(state["data_folder"]))
    with folder.locked(), tracked(folder, reporter) as tracker:
        session = _session(folder, dataset, recipe, Clock(recipe.budget), reporter, processes)
        session.mlflow = tracker
        work_through(session, [Path(source) for source in state["sources"]], parts)
    return Run(path)
