"""Pre-flight: a minute of looking before hours of training."""

import copy
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affinage.diagnosis.diagnose import diagnose
from affinage.errors import DataError
from affinage.imaging.batches import Item
from affinage.models.build import stack
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.records.diagnosis import Diagnosis
from affinage.records.finding import Finding
from affinage.records.recipe import Recipe
from affinage.records.signals import Point, Signals
from affinage.records.task import task_named
from affinage.records.training_facts import OneBatch
from affinage.records.verdict import Verdict
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.training.feeding import Batch, Feed
from affinage.training.initial import FirstLoss, check_first_loss
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan, make_plan
from affinage.watching.watch import watch
from affinage.workflows.clock import Clock
from affinage.workflows.env import env
from affinage.workflows.moment import now
from affinage.workflows.network import first_backbone, network_for
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.run_signals import run_signals
from affinage.workflows.session import Session, TrainingData, make_engine
from affinage.workflows.tasks import work_of
from affinage.workflows.train_data import read_data
from affinage.workflows.work import TaskWork

SECONDS = 40.0
"""From the start on, for all that computes; a step that has begun is not cut."""

BATCH, STEPS, BY_HEART = 8, 6, 60
_RATE = 2e-3
_LEARNT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    session: Session
    data: TrainingData
    model: Classifier
    work: TaskWork
    recipe: Recipe
    plan: Plan
    until: float


def preflight(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    progress: Reporter | None = None,
) -> Diagnosis:
    """Return what is wrong with a training before it begins: its data, network, loss and settings.

    Six steps of the training are taken and watched, one batch is learnt by heart in a copy, and the
    first loss is held against a guess's. Nothing is kept: no run, no data set's folder.

    Args:
        source: Images as `train` takes them.
        recipe: A recipe, a YAML file, or nested settings.
        settings: `key=value`, laid over the recipe.
        progress: Told of progress; plain lines on standard error by default.

    Raises:
        AffinageError: If the settings or the images cannot be used.
    """
    begun = time.monotonic()
    told = progress or Lines()
    path = Path(source)
    if not path.exists():
        raise DataError(f"There is no '{path}'.", remedy="Name a folder of images, or a table.")
    resolved = resolve_recipe(recipe, settings, {})
    with tempfile.TemporaryDirectory(prefix="affinage-preflight-") as place:
        flight = _ready(path, resolved, told, Path(place), until=begun + SECONDS)
        told.say("taking a few steps, and learning one batch by heart")
        signals, extra = _fly(flight)
        flight.session.close()
    verdicts = (*extra, *diagnose(signals))
    ranks = {"finding": 0, "fine": 1, "unchecked": 2}
    return Diagnosis(
        signals=signals,
        verdicts=tuple(sorted(verdicts, key=lambda verdict: ranks[verdict.answer])),
        seconds=time.monotonic() - begun,
    )


def _ready(
    source: Path, recipe: Recipe, told: Reporter, place: Path, *, until: float
) -> _Flight:  # fmt: skip
    """Read the data and build the network, with all folders in a place that is thrown away."""
    finetune = {"batch_size": 2 * BATCH} if recipe.finetune.batch_size == "auto" else {}
    short = recipe.model_copy(
        update={"finetune": recipe.finetune.model_copy(update=finetune)} if finetune else {}
    )
    folder = RunFolder(place / "run")
    session = Session(
        folder=folder, dataset=DatasetFolder(place / "data"), recipe=short, clock=Clock(None),
        reporter=told, engine=make_engine(short), environment=env(short.compute.device),
    )  # fmt: skip
    folder.begin({"created": now(), "data": source.name}, short)
    backbone = first_backbone(session, None)
    data = read_data(session, [source], task_named(short.task))
    work = work_of(short, data.classes, data.train.targets, None)
    network = network_for(session, data, backbone, work, None)
    torch.manual_seed(short.seed)
    model = stack(network.backbone, classes=work.lesson.objective.outputs)
    plan = make_plan(short.finetune, len(data.train))
    return _Flight(
        session=session, data=data, model=model.to(session.engine.device), work=work, recipe=short,
        plan=plan, until=until,
    )  # fmt: skip


def _fly(flight: _Flight) -> tuple[Signals, tuple[Verdict, ...]]:
    groups = layer_groups(flight.model, unfreeze=flight.recipe.finetune.unfreeze)
    set_trainable(flight.model, groups)
    twin = copy.deepcopy(flight.model)
    first = _first_loss(flight)
    by_heart = _by_heart(flight, twin)
    flight.model.head.load_state_dict(
        twin.head.state_dict()
    )  # At zero it lets no gradient through.
    seen = _steps(flight)
    signals = replace(
        run_signals(seen, flight.data, flight.plan),
        origin="preflight",
        one_batch=by_heart,
        best_chosen_on=None,
        points=(Point(stage="training", series="loss", on="train (evaluation mode)", epoch=0.0,
                      value=first.measured),),
    )  # fmt: skip
    findings = tuple(_verdict_of(first))
    return signals, (*findings, verdict_by_heart(by_heart))


def _sample(flight: _Flight) -> tuple[tuple[Item, ...], Any]:
    """Return a batch of training images spread over the part, and their targets."""
    part = flight.data.train
    places = np.unique(np.linspace(0, len(part) - 1, BATCH).round().astype(int))
    return tuple(part.items[place] for place in places), part.targets[places]


def _batch(flight: _Flight) -> Batch:
    items, targets = _sample(flight)
    feed = Feed(
        items=items, targets=targets, preprocessing=flight.model.preprocessing, recipe=flight.recipe,
        plan=Plan(steps=1, steps_per_epoch=1), threads=flight.session.engine.threads,
    )  # fmt: skip
    return next(iter(feed.batches()))


def _first_loss(flight: _Flight) -> FirstLoss:
    batch = _batch(flight)
    flight.model.eval()
    with torch.no_grad():
        outputs = flight.model(torch.from_numpy(batch.images).to(flight.session.engine.device))
    return check_first_loss(
        outputs.float().cpu().numpy(), batch.targets, flight.work.lesson.objective
    )


def _by_heart(flight: _Flight, model: Classifier) -> OneBatch:
    """Learn one fixed batch in a copy, without dropout and with BatchNorm's statistics left alone."""
    objective, device = flight.work.lesson.objective, flight.session.engine.device
    batch = _batch(flight)
    images = torch.from_numpy(batch.images).to(device)
    targets = torch.from_numpy(batch.targets).to(device)
    moved = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moved, lr=_RATE, weight_decay=0.0)
    losses: list[float] = []
    half = time.monotonic() + (flight.until - time.monotonic()) / 2
    outputs: Tensor | None = None
    for _ in range(BY_HEART):
        set_modes(model, batchnorm="frozen")
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        outputs = model(images)
        loss = objective.plain(outputs, targets).mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if losses[-1] < 0.05 * losses[0] or time.monotonic() > half:
            break
    hits = objective.hit(outputs.detach(), targets) if outputs is not None else torch.zeros(1)
    return OneBatch(
        images=len(images),
        steps=len(losses),
        first_loss=losses[0],
        last_loss=losses[-1],
        accuracy=float(hits.float().mean()) if flight.recipe.task == "classify" else None,
    )


def _steps(flight: _Flight) -> Signals:
    model, recipe = flight.model, flight.recipe
    optimizer = build_optimizer(
        model, layer_groups(model, unfreeze=recipe.finetune.unfreeze), recipe.optimizer,
        layer_decay=recipe.finetune.layer_decay,
    )  # fmt: skip
    with watch(model, name="pre-flight", origin="preflight", evaluations=False) as watched:
        steps = training_steps(
            model, optimizer, flight.data.train.items, flight.data.train.targets,
            objective=flight.work.lesson.objective, recipe=recipe, plan=flight.plan,
            device=flight.session.engine.device, threads=flight.session.engine.threads,
        )  # fmt: skip
        for step in steps:
            if step.number >= STEPS or time.monotonic() > flight.until:
                break
        steps.close()
    return watched.signals


def _verdict_of(first: FirstLoss) -> list[Verdict]:
    said = (
        f"the first loss is {first.measured:.3g} on {first.images} images; knowing nothing gives "
        f"{first.constant:.3g} to {first.zeros:.3g}"
    )
    found = first.findings()
    if not found:
        return [Verdict(code="first-loss", answer="fine", said=said)]
    return [Verdict(code="first-loss", answer="finding", said=said, finding=one) for one in found]


def verdict_by_heart(trial: OneBatch) -> Verdict:
    """Return whether one batch could be learnt: half of the loss gone is enough to show that it learns."""
    said = (
        f"the loss of one batch of {trial.images} images went from {trial.first_loss:.3g} to "
        f"{trial.last_loss:.3g} in {trial.steps} steps"
    )
    if trial.last_loss <= _LEARNT * trial.first_loss:
        return Verdict(code="one-batch-not-learnt", answer="fine", said=said)
    if trial.steps < BY_HEART:
        return Verdict(
            code="one-batch-not-learnt",
            answer="unchecked",
            said=f"time was up: {said}",
        )
    return Verdict(
        code="one-batch-not-learnt", answer="finding", said=said, finding=_not_learnt(said)
    )


def _not_learnt(said: str) -> Finding:
    return Finding(
        code="one-batch-not-learnt",
        severity="warning",
        subject=f"The network cannot learn even one batch by heart: {said}.",
        evidence=("One fixed batch, without dropout, in a copy, with AdamW at 0.002.",),
        remedy="See that what is unfrozen is enough to learn from (finetune.unfreeze), and that the "
        "labels of these images can be told from their pixels.",
    )
