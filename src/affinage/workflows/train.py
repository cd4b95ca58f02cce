"""The verb `train`: from a folder of images to a model, its honest score and its report."""

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affinage.errors import DataError, ModelError, RecipeError, RunError
from affinage.heads.linear import LinearHead
from affinage.imaging.trials import TRIALS
from affinage.models.build import Backbone, check_name
from affinage.models.parts import Parts, require_parts
from affinage.models.process import usable_cores
from affinage.records.augmentation import AugmentationTrial
from affinage.records.finding import Finding
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe, forced_pairings
from affinage.records.run import RunRecord
from affinage.records.task import task_named
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.training.processes import Processes, agreed, joined
from affinage.training.together import leading, lend_a_hand
from affinage.workflows.classifying import positive_class
from affinage.workflows.clock import Clock
from affinage.workflows.env import env
from affinage.workflows.label_trials import try_changes
from affinage.workflows.moment import now
from affinage.workflows.network import first_backbone, network_for
from affinage.workflows.opened import data_folder, is_data_folder
from affinage.workflows.places import data_set_name, default_run_folder
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.run import Run
from affinage.workflows.session import Session, TrainingData, make_engine
from affinage.workflows.tasks import work_of
from affinage.workflows.train_data import budget_finding, read_data, within
from affinage.workflows.train_features import (
    FeaturesOutcome,
    FrozenFeatures,
    features_result,
    fit_head,
    images_affordable,
    open_features,
    refit_head,
)
from affinage.workflows.train_final import (
    Chosen,
    finish,
    keep_model,
    measure_parts,
)
from affinage.workflows.train_finetune import (
    FinetuneOutcome,
    refit_finetuned,
    run_finetune,
    stacked,
)
from affinage.workflows.work import TaskWork

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
            "force": force,
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
    resolved = _as_the_start(resolve_recipe(recipe, settings, flags), start)
    if parts is None or parts.model is None:
        check_name(resolved.model.backbone)
    clock = Clock(resolved.budget, started=started)

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
                },
                resolved,
            )
            if on_begin is not None:
                on_begin(folder.path)
            with _without_trace_of_mistakes(folder):
                _work(_session(folder, dataset, resolved, clock, told, processes), sources, parts)
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
    torch.set_num_threads(max(1, (recipe.compute.threads or usable_cores()) // processes.world))
    return Session(
        folder=folder,
        dataset=dataset,
        recipe=recipe,
        clock=clock,
        reporter=reporter,
        engine=make_engine(recipe),
        environment=env(recipe.compute.device),
        processes=processes,
    )


def _as_the_start(recipe: Recipe, start: str | Path | None) -> Recipe:
    """Return the recipe with the model's settings of the run to go on from, where it has none.

    Raises:
        RunError: If that is no finished run.
    """
    if start is None:
        return recipe
    before = RunFolder(Path(start))
    before.model_card()
    if recipe.model != ModelSettings():
        return recipe
    return recipe.model_copy(update={"model": before.recipe().model})


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
    with folder.locked():
        session = _session(folder, dataset, recipe, Clock(recipe.budget), reporter, processes)
        _work(session, [Path(source) for source in state["sources"]], parts)
    return Run(path)


def _work(session: Session, sources: Sequence[Path], parts: Parts | None) -> RunRecord:
    """All phases in order; each takes up what an earlier sitting has left."""
    try:
        backbone = first_backbone(session, parts)
        task = task_named(session.recipe.task)
        data = read_data(session, sources, task)
        _check_positive(session.recipe, data)
        work = work_of(session.recipe, data.classes, data.train.targets, parts)
        _mark_forced(session)
        network = network_for(session, data, backbone, work, parts)
        backbone = network.backbone
        data = _fit_to_budget(session, data, backbone, work)
        if session.folder.data() is None:
            session.folder.save_findings_so_far(session.findings)
            session.folder.save_data(data.manifest, data.split)
        session.folder.save_environment(session.environment)
        with session.phase("features"):
            frozen = open_features(session, data, backbone, work)
        session.folder.event("features", computed=frozen.computed, of=len(data.both))
        head = _features_stage(session, data, frozen, work)
        _try_flips(session, data, frozen)
        tuned = _finetune_stage(session, data, frozen, head, work, network.head)
        chosen = _choose(session, data, frozen, head, tuned, work)
        with session.phase("evaluation"):
            card = keep_model(session, data, backbone, chosen, work)
            evaluations, own = measure_parts(session, data, frozen, chosen, card, work, parts)
        return finish(session, data, card, evaluations, own, chosen.reason, work)
    finally:
        session.close()


def _mark_forced(session: Session) -> None:
    """Mark a run whose settings contradict each other, once."""
    forced = forced_pairings(session.recipe)
    if not forced or any(finding.code == "forced-settings" for finding in session.findings):
        return
    session.findings.append(
        Finding(
            code="forced-settings",
            severity="warning",
            subject="This run was trained with settings that contradict each other, because --force was"
            " given: do not take its score for what the method can do.",
            evidence=forced,
            remedy="Use the right pairing that is named here, without --force.",
        )
    )


FLIPS_TRIED_ON = 240


def _try_flips(session: Session, data: TrainingData, frozen: FrozenFeatures) -> None:
    """Warn where a flip that the recipe asks for makes one class of another, on these very images."""
    recipe = session.recipe
    asked = [
        trial
        for trial in TRIALS
        if trial.name.endswith("flip") and getattr(recipe.augment, trial.setting.split(".")[1])
    ]
    known = any(finding.code == "augmentation-changes-labels" for finding in session.findings)
    classify = task_named(recipe.task).target == "label" and recipe.model.pretrained
    part, small = data.train, recipe.budget is not None and recipe.budget < 120
    if not asked or known or small or not classify or "finetune" not in recipe.stages:
        return
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(part))[:FLIPS_TRIED_ON])
    items, labels = [part.items[index] for index in chosen], part.targets[chosen]
    for trial in try_changes(
        items, labels, data.classes, frozen.model, session.engine, trials=asked
    ):
        if trial.verdict == "mixes classes up":
            session.findings.append(_changes_labels(trial))
            session.reporter.say(f"warning: {session.findings[-1].subject}")


def _changes_labels(trial: AugmentationTrial) -> Finding:
    return Finding(
        code="augmentation-changes-labels",
        severity="warning",
        subject=f"A {trial.change} changes labels on these images, and the recipe draws it: taught with it,"
        f" a head on frozen features is right on {100 * (trial.taught.value or 0):.0f} % of them, without"
        f" it on {100 * (trial.before.value or 0):.0f} %.",
        evidence=tuple(
            f"{one.label} is called {one.called}: {one.images} of {one.of} images that were right before"
            for one in trial.turned[:5]
        ),
        remedy=f"Train with --set {trial.setting}={trial.off}; see them: affinage augmentations SOURCE",
    )


def _features_stage(
    session: Session, data: TrainingData, frozen: FrozenFeatures, work: TaskWork
) -> FeaturesOutcome | None:
    if "features" not in session.recipe.stages:
        return None
    session.reporter.say("fitting the head on the features")
    with session.phase("head"):
        outcome = fit_head(session, data, frozen, work)
    seconds = session.folder.seconds()
    session.keep_stage(
        features_result(
            outcome,
            work,
            seconds=seconds["features"] + seconds["head"],
            kept=False,
        )
    )
    return outcome


def _finetune_stage(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeaturesOutcome | None,
    work: TaskWork,
    carried: LinearHead | None,
) -> FinetuneOutcome | None:
    if "finetune" not in session.recipe.stages:
        return None
    with session.phase("finetune"):
        outcome = run_finetune(session, data, frozen, head, work, carried)
    if outcome is not None:
        session.keep_stage(outcome.result)
    return outcome


def _choose(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeaturesOutcome | None,
    tuned: FinetuneOutcome | None,
    work: TaskWork,
) -> Chosen:
    """Keep the better model, and let it learn from validation too where validation was cut."""
    carved = data.split.carved and not data.split.closed_set
    if tuned is not None and tuned.better:
        model = tuned.model
        reason = tuned.choice
        got_better = bool(tuned.result.facts["best_epoch"])  # 0: the start was never bettered.
        if session.recipe.finetune.refit and carved and got_better:
            with session.phase("refit"):
                start = head.start if head is not None else None
                model = refit_finetuned(session, data, frozen, start, tuned, work)
            reason += " It was then trained again on train and validation together."
        return Chosen(model=model, head=None, validation_logits=tuned.logits, reason=reason)
    if head is None:
        raise RunError("No stage gave a model.", remedy="Give a longer --budget.")
    refits = session.recipe.features.refit and carved
    final = refit_head(session, data, frozen, head.head, work) if refits else head.head
    stages = {stage.name: stage for stage in session.folder.stages()}
    session.keep_stage(dataclasses.replace(stages["features"], kept=True))
    if tuned is not None:
        reason = tuned.choice
    elif "finetune" in session.recipe.stages:
        reason = "There was no time for fine-tuning, so the head on frozen features was kept."
    else:
        reason = "Only the stage features was asked for, so its head was kept."
    if refits:
        reason += " The head was then fitted again on train and validation together."
    return Chosen(
        model=stacked(frozen, final),
        head=final,
        validation_logits=np.asarray(head.logits),
        reason=reason,
    )


def _fit_to_budget(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork
) -> TrainingData:
    """Return as much of the data as the budget can pay features and evaluation of."""
    if session.recipe.budget is None or session.folder.data() is not None:
        return data
    total = len(data.both) + len(data.test)
    share = images_affordable(session, data, backbone, work) / total
    if share >= 1:
        return data
    less = within(data, share, work.task)
    session.findings.append(
        budget_finding(len(less.both) + len(less.test), total, session.recipe.budget)
    )
    return less


def _check_positive(recipe: Recipe, data: TrainingData) -> None:
    positive = positive_class(recipe, data.classes)
    if recipe.positive is not None and positive not in data.classes:
        raise RecipeError(
            f"positive: '{recipe.positive}' is not one of two classes: {', '.join(data.classes[:8])}.",
            remedy="Name one of two classes, or leave it out.",
        )
