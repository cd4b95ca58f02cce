"""What is kept of our own trainings, for the doctor."""

import contextlib
import time
from dataclasses import replace
from typing import Any

import numpy as np

from affinage.models.classifier import Classifier
from affinage.records.signals import Baseline, Signals
from affinage.records.training_facts import Feeding, Overlap, Part
from affinage.training.frozen_outputs import Looks
from affinage.training.plan import Plan
from affinage.watching.layer_histograms import LayerHistograms
from affinage.watching.watch import Watched, watch
from affinage.workflows.first_step import first_step_findings
from affinage.workflows.session import Part as Images
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.sittings import joined

SECONDS_BETWEEN_SAVES = 30.0


class RunWatch(contextlib.AbstractContextManager["RunWatch"]):
    """A watch over a training of ours: judges its first step, and keeps its signals in the run's folder.

    They are saved at times while it goes on, so that a sitting that is killed leaves its own behind.

    Args:
        session: Of the run.
        data: Its images.
        model: What is trained.
        plan: How long.
        keep: False for the refit, which repeats what was watched already.
    """

    def __init__(
        self, session: Session, data: TrainingData, model: Classifier, plan: Plan, *, keep: bool
    ) -> None:
        self._session, self._data, self._model, self._plan = session, data, model, plan
        self._keep = keep
        self._stack = contextlib.ExitStack()
        self._watched: Watched | None = None
        self._before: Signals | None = None
        self._start: int | None = None
        self._saved = time.monotonic()
        self._layers: LayerHistograms | None = None

    def __enter__(self) -> "RunWatch":
        """Begin to watch."""
        if self._keep:
            folder = self._session.folder
            self._before = folder.watched() if folder.was_watched else None
            self._watched = self._stack.enter_context(
                watch(self._model, name=folder.name, origin="run", evaluations=False)
            )
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Keep what was seen; of a sitting that ended by an error, what was saved before stays."""
        watched, self._watched = self._watched, None
        self._stack.__exit__(kind, error, trace)
        if watched is not None and error is None:
            self._save(watched.signals)

    @property
    def looks(self) -> Looks:
        """What a training must know that does not compute frozen layers in every step."""
        watched = self._watched
        if watched is None:
            return Looks()
        return Looks(due=lambda: watched.looks, charge=watched.charge)

    def stepped(self, number: int) -> None:
        """A step has been taken, the so-manieth of the training."""
        if self._watched is None:
            return
        if self._start is None:
            self._start = number - 1
            self._judge(self._watched.so_far())
            self._layers = LayerHistograms(self._model)
        if number == self._start + 1 or number % self._plan.steps_per_epoch == 0:
            self._look(number)
        if time.monotonic() - self._saved >= SECONDS_BETWEEN_SAVES:
            self._save(self._watched.so_far())
            self._saved = time.monotonic()

    def _look(self, number: int) -> None:
        """Keep how weights are spread; where a resumed sitting looks again, the later look counts."""
        assert self._layers is not None
        epoch, folder = number / self._plan.steps_per_epoch, self._session.folder
        before = [one for one in folder.layer_histograms() if one.epoch < epoch]
        folder.save_layer_histograms((*before, *self._layers.look(epoch)))

    def _judge(self, signals: Signals) -> None:
        """Tell at once what one step is enough for, once for each training."""
        known = {finding.code for finding in self._session.findings}
        for finding in first_step_findings(self._known(signals)):
            if finding.code not in known:
                self._session.findings.append(finding)
                self._session.reporter.say(finding.subject)

    def _save(self, signals: Signals) -> None:
        if self._start is None:
            return  # No step was left to take: an earlier sitting saw them all.
        if self._before is not None and self._start:
            signals = joined(self._before, signals, start=self._start)
        self._session.folder.save_signals(self._known(signals))

    def _known(self, signals: Signals) -> Signals:
        weighted = self._session.recipe.loss.balance == "sampler"
        return run_signals(signals, self._data, self._plan, weighted=weighted)


def run_signals(
    signals: Signals, data: TrainingData, plan: Plan, *, weighted: bool = False
) -> Signals:
    """Return the signals of a training of ours with what its data set knows.

    Args:
        signals: As they were seen.
        data: The images of each part.
        plan: How long it was meant to be.
        weighted: Whether images of rare classes are drawn more often.
    """
    epochs = (signals.steps or 0) / plan.steps_per_epoch
    known = replace(
        signals,
        feeding=_feeding(signals, data, plan, weighted=weighted),
        overlaps=_overlaps(data),
        images={name: len(part) for name, part in _parts(data)},
        baselines=(*(signals.baselines or ()), *_baselines(data)) or None,
        epochs=epochs,
        planned_epochs=plan.epochs,
        steps_per_epoch=float(plan.steps_per_epoch),
        best_chosen_on="validation",
    )
    return replace(
        known, missing={n: why for n, why in known.missing.items() if not getattr(known, n, None)}
    )


def _parts(data: TrainingData) -> tuple[tuple[Part, Images], ...]:
    found: tuple[tuple[Part, Images], ...] = (
        ("train", data.train), ("validation", data.validation), ("test", data.test),
    )  # fmt: skip
    return tuple((name, part) for name, part in found if len(part))


def _feeding(
    signals: Signals, data: TrainingData, plan: Plan, *, weighted: bool
) -> tuple[Feeding, ...]:
    seen = next((f for f in signals.feeding or () if f.part == "train"), Feeding(part="train"))
    train = replace(
        seen,
        images=len(data.train),
        batch_size=-(-len(data.train) // plan.steps_per_epoch),
        sampler="Weighted by class" if weighted else "shuffled anew in every epoch",
        shuffled=True,
        classes=data.classes,
    )
    others = tuple(
        Feeding(part=name, images=len(part), classes=data.classes, shuffled=False)
        for name, part in _parts(data)
        if name != "train"
    )
    return (train, *others)


def _overlaps(data: TrainingData) -> tuple[Overlap, ...]:
    """Return what parts share, by the bytes of the images: nothing, but in a closed set."""
    images = {name: set(getattr(data, name).images) for name, _ in _parts(data)}
    pairs: tuple[tuple[Part, Part], ...] = (
        ("train", "validation"), ("train", "test"), ("validation", "test"),
    )  # fmt: skip
    return tuple(
        Overlap(
            first=one,
            second=other,
            shared=len(images[one] & images[other]),
            n=len(images[other]),
            same_set=images[one] == images[other],
            by="bytes",
        )
        for one, other in pairs
        if one in images and other in images
    )


def _baselines(data: TrainingData) -> tuple[Baseline, ...]:
    """Return the accuracy on validation of always saying training's most frequent class."""
    targets = data.validation.targets
    if targets.ndim != 1 or not len(targets) or not len(data.train):
        return ()
    most = np.bincount(data.train.targets).argmax()
    return (
        Baseline(
            series="accuracy", on="validation", value=float((targets == most).mean()),
            rule="training's most frequent class", n=len(targets),
        ),
    )  # fmt: skip
