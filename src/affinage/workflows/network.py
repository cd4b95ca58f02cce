"""The network that a training starts from: its weights, its view of the images, what it goes on from."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from affinage.errors import RunError
from affinage.heads.bag_of_words import learn_words
from affinage.heads.linear import LinearHead
from affinage.imaging.batches import prepared_batches, read
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.resize import prepare
from affinage.models.build import Backbone, build_backbone, stack
from affinage.models.carry_over import carry_over
from affinage.models.normalise import fit_preprocessing
from affinage.models.parts import Parts, fingerprint, own_backbone
from affinage.models.sift_words import SiftWords
from affinage.models.weights import Weights
from affinage.records.carried_over import CarriedOver
from affinage.records.finding import Finding
from affinage.records.recipe import Recipe
from affinage.records.run import ModelCard
from affinage.store.run_folder import RunFolder
from affinage.training.checkpoint import load_tensors
from affinage.workflows.frames import fitted
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.work import TaskWork

STATISTICS_IMAGES = 2_000
"""Training images that normalisation is measured on at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A backbone that is ready to train, and the head's rows that were carried over.

    Attributes:
        backbone: With its preprocessing.
        head: Rows carried over from another run; None without.
    """

    backbone: Backbone
    head: LinearHead | None = None


def first_backbone(session: Session, parts: Parts | None) -> Backbone:
    """Return the backbone as its settings have it: a mistake in them is told before images are read.

    Raises:
        ModelError: If it cannot be built or its weights cannot be had.
    """
    settings = session.recipe.model
    if parts is not None and parts.model is not None:
        return own_backbone(parts.model, settings)
    return build_backbone(settings, seed=session.recipe.seed)


def network_for(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork, parts: Parts | None
) -> Network:
    """Return the network for these images: whole frames for counts, normalised, its weights carried over.

    Raises:
        ModelError: If the weights of the run that it goes on from are of another network.
    """
    own = parts is not None and parts.model is not None
    if not own:
        backbone = fitted(session, data.manifest, backbone, work.task)
    backbone = _normalised(session, data, backbone)
    if isinstance(backbone.module, SiftWords):
        return Network(backbone=_with_words(session, data, backbone, backbone.module))
    before = session.folder.state().get("start")
    if before is None:
        session.findings.extend(
            one for one in _frozen_at_random(session, backbone) if one not in session.findings
        )
        return Network(backbone=backbone)
    return _carried(session, data, backbone, work, Path(str(before)))


def _frozen_at_random(session: Session, backbone: Backbone) -> list[Finding]:
    """Return the finding that random weights, or statistics of nothing, are not to be trained."""
    settings = session.recipe.finetune
    statistics = any(name.endswith("running_mean") for name, _ in backbone.module.named_buffers())
    frozen = [
        f"finetune.unfreeze={settings.unfreeze}" if settings.unfreeze != "all" else "",
        "finetune.batchnorm=frozen" if settings.batchnorm == "frozen" and statistics else "",
    ]
    frozen = [one.replace("None", "null") for one in frozen if one]
    if backbone.weights.origin != "random" or not frozen:
        return []
    return [
        Finding(
            code="random-weights-frozen",
            severity="warning",
            subject=f"The weights are random, and {' and '.join(frozen)} keeps some of them as they are.",
            remedy="Train all of it: --set finetune.unfreeze=all --set finetune.batchnorm=adapt",
        )
    ]


def _with_words(
    session: Session, data: TrainingData, backbone: Backbone, module: SiftWords
) -> Backbone:
    """Return the backbone with the vocabulary of the training part.

    Raises:
        RunError: If the run was to go on from another: there are no weights to carry over.
    """
    if session.folder.state().get("start") is not None:
        raise RunError(
            "A bag of visual words learns its vocabulary anew: it cannot go on from a run.",
            remedy="Train without --from.",
        )
    items, view = data.train.items, backbone.preprocessing
    module.learn(
        learn_words(
            lambda number: prepare(decode(read(items[number])).pixels, view),
            len(items),
            words=session.recipe.model.sift_words.words,
            seed=session.recipe.seed,
            threads=session.engine.threads,
        )
    )
    known = fingerprint(module)
    weights = Weights(
        origin="own", path=None, sha256=known, licence="none",
        description="visual words learnt from the training part",
    )  # fmt: skip
    return dataclasses.replace(backbone, weights=weights, identity=f"{backbone.name}, {known}")


def _normalised(session: Session, data: TrainingData, backbone: Backbone) -> Backbone:
    if session.recipe.model.normalise == "backbone":
        return backbone
    batches = prepared_batches(
        data.train.items[:STATISTICS_IMAGES],
        backbone.preprocessing,
        batch_size=session.engine.batch_size,
        threads=session.engine.threads,
    )
    fitting = fit_preprocessing(backbone.preprocessing, batches, session.recipe.model)
    return dataclasses.replace(backbone, preprocessing=fitting)


def _carried(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork, run: Path
) -> Network:
    folder, card = _trained(run)
    model = stack(backbone, classes=work.lesson.objective.outputs)
    said = carry_over(load_tensors(folder.model, "model"), card.classes, model, data.classes)
    session.findings.extend(
        one
        for one in _findings(folder, said, data, _other_head(folder, session.recipe))
        if one not in session.findings
    )
    weights = Weights(
        origin="run",
        path=folder.model,
        sha256=content_id(folder.model.read_bytes()),
        description=f"the run {folder.name}, which started from {card.weights}",
        licence=card.licence,
    )
    preprocessing = backbone.preprocessing
    if session.recipe.model.width is None and session.recipe.model.height is None:
        preprocessing = card.preprocessing
    head = None
    if said.kept:
        bias, rows = getattr(model.last, "bias", None), model.last.out_features
        with torch.no_grad():
            head = LinearHead(
                weight=model.last.weight.double().numpy().copy(),
                bias=(bias.double().numpy().copy() if bias is not None else np.zeros(rows)),
                penalty=0.0,
            )
    return Network(
        backbone=dataclasses.replace(
            backbone, weights=weights, preprocessing=preprocessing,
            identity=f"{backbone.identity}, going on from {weights.sha256}",
        ),
        head=head,
    )  # fmt: skip


def _trained(run: Path) -> tuple[RunFolder, ModelCard]:
    folder = RunFolder(run)
    if not folder.path.is_dir():
        raise RunError(
            f"The run to go on from, '{run.name}', is not there any more.",
            remedy="Put it back where it was, or train without --from.",
        )
    return folder, folder.model_card()


def _other_head(run: RunFolder, recipe: Recipe) -> tuple[str, ...]:
    """Return how the head differs from that of the run it goes on from: its rows then mean something else."""
    before, now = run.recipe().model.head, recipe.model.head
    return tuple(
        f"model.head.{name} was {_plain(getattr(before, name))} and is {_plain(getattr(now, name))}."
        for name in type(now).model_fields
        if getattr(before, name) != getattr(now, name)
    )


def _plain(value: object) -> str:
    return ",".join(map(str, value)) or "empty" if isinstance(value, tuple) else str(value)


def _findings(
    run: RunFolder, said: CarriedOver, data: TrainingData, other_head: tuple[str, ...]
) -> list[Finding]:
    found = [
        Finding(
            code="carried-over",
            severity="note",
            subject=f"The training goes on from the run '{run.name}'. {said.summary}",
            evidence=other_head,
        )
    ]
    before = run.data()
    learnt = before[1].train | before[1].validation if before else frozenset()
    seen = sorted(learnt & set(data.test.images))
    if seen:
        found.append(
            Finding(
                code="start-has-seen-test",
                severity="blocking",
                subject=f"{len(seen):,} of {len(data.test):,} test images taught the run that it goes on"
                " from: their score is a memory test.",
                evidence=tuple(data.shown[image] for image in seen[:5]),
                remedy="Train on the same data set's folder, whose parts stay as they are, or measure "
                "on new images: affinage evaluate RUN SOURCE",
                ids=tuple(seen),
                images=tuple(data.shown[image] for image in seen),
            )
        )
    return found
