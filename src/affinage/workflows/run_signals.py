"""What is kept of our own trainings, for the doctor."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from affinage.models.classifier import Classifier
from affinage.records.signals import Baseline, Signals
from affinage.records.training_facts import Feeding, Overlap, Part
from affinage.training.plan import Plan
from affinage.watching.watch import watch
from affinage.workflows.session import Part as Images
from affinage.workflows.session import Session, TrainingData


@contextlib.contextmanager
def watched_run(
    session: Session, data: TrainingData, model: Classifier, plan: Plan, *, keep: bool
) -> Iterator[None]:
    """Watch a training of ours and keep its signals in the run's folder.

    Args:
        session: Of the run.
        data: Its images.
        model: What is trained.
        plan: How long.
        keep: False for the refit, which repeats what was watched already.
    """
    if not keep:
        yield
        return
    with watch(model, name=session.folder.name, origin="run", evaluations=False) as watched:
        yield
    session.folder.save_signals(run_signals(watched.signals, data, plan))


def run_signals(signals: Signals, data: TrainingData, plan: Plan) -> Signals:
    """Return the signals of a training of ours with what its data set knows.

    Args:
        signals: As they were seen.
        data: The images of each part.
        plan: How long it was meant to be.
    """
    epochs = (signals.steps or 0) / plan.steps_per_epoch
    known = replace(
        signals,
        feeding=_feeding(signals, data, plan),
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


def _feeding(signals: Signals, data: TrainingData, plan: Plan) -> tuple[Feeding, ...]:
    seen = next((f for f in signals.feeding or () if f.part == "train"), Feeding(part="train"))
    train = replace(
        seen,
        images=len(data.train),
        batch_size=-(-len(data.train) // plan.steps_per_epoch),
        sampler="shuffled anew in every epoch",
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
