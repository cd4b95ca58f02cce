"""The verb `export`: a run becomes a bundle, with the proof that it answers as the trained model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import affinage
from affinage.errors import ModelError
from affinage.exporting.formats import (
    FILES,
    check_format,
)
from affinage.exporting.graph import Activate
from affinage.models.parts import Parts
from affinage.monitoring.drift import FEWEST
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.bundle import (
    Bundle,
    ModelFormat,
    Origin,
    OutputKind,
    Parity,
    Precision,
    Reading,
)
from affinage.records.estimate import Estimate
from affinage.store.bundle import require_free, write_bundle
from affinage.workflows.export_data import ExportData, export_data
from affinage.workflows.export_work import ExportWork
from affinage.workflows.moment import now
from affinage.workflows.reporter import Reporter, Silent
from affinage.workflows.trained import Trained, load_trained

PROVED_ON = 500
"""Validation images that the proof compares at most: the first by their ids."""

MAX_LOSS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A bundle that was written.

    Attributes:
        path: Its folder.
        bundle: What is known of it, its proof and its speed among it.
        parity: The proof: `bundle.parity`.
    """

    path: str
    bundle: Bundle
    parity: Parity


def export(
    run: str | Path,
    *,
    into: str | Path | None = None,
    model_format: ModelFormat = "onnx",
    precision: Precision = "fp32",
    max_loss: float | None = None,
    surely: bool = False,
    images: int = PROVED_ON,
    batch: int | None = None,
    speed: bool = True,
    parts: Parts | None = None,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write a run's model as a bundle, proved on real images to answer as the trained model.

    Args:
        run: The folder that `affinage train` wrote.
        into: The bundle's folder; `affinage-bundles/RUN` in the working folder by default.
        model_format: What reads it: ONNX Runtime, OpenVINO, or PyTorch.
        precision: What it computes in; bf16 and int8 are held to `max_loss`.
        max_loss: Points of 100 that a lower precision may cost, or percent of the mean absolute error;
            `MAX_LOSS` by default. Not for fp32, which may change no answer at all.
        surely: Hold the upper end of the loss's interval to `max_loss`, and not the loss as measured.
        images: Validation images to prove it on at most, from 1.
        batch: Images of every pass, for devices that want fixed shapes; None for any number.
        speed: Measure size, memory and latency on this machine too.
        parts: The network of your own that the run was made with, where it was.
        reporter: Told of progress.

    Raises:
        RunError: If the run has no model, or there is something in the way.
        ModelError: If the network cannot be written, the proof fails, the loss is above `max_loss`, or
            a loss is allowed to fp32; nothing is written then.
        ImageError: If an image of the run is gone or has changed.
    """
    told = reporter or Silent()
    check_format(model_format, precision)
    _check_allowed(precision, max_loss, surely=surely)
    trained = load_trained(run, parts)
    path = _place(trained, into, precision, model_format)
    require_free(path)
    data = export_data(trained)
    work = ExportWork(
        trained=trained,
        data=data,
        told=told,
        activate=activation(trained),
        draft=_draft(trained, data, model_format, precision, batch),
        proved_on=data.validation[:images],
        max_loss=MAX_LOSS if max_loss is None else max_loss,
        surely=surely,
        speed=speed,
    )
    bundle = write_bundle(path, work.fill)
    if len(data.validation) < FEWEST:
        told.say(
            f"monitor will not judge this bundle: it carries {len(data.validation)} validation images, and "
            f"{FEWEST} are needed to know what is normal"
        )
    return ExportResult(path=str(path), bundle=bundle, parity=bundle.parity)


def activation(trained: Trained) -> Activate:
    """Return what makes of raw outputs what the run's answers are read from.

    Probabilities are calibrated within: the temperature that validation asked for is part of the model.
    """
    if trained.work.task.target == "label":
        return partial(_softmax, temperature=trained.card.calibration.temperature)
    return trained.work.lesson.objective.predict


def _check_allowed(precision: Precision, max_loss: float | None, *, surely: bool) -> None:
    """Raise if a loss is allowed where there is none to allow."""
    given = "--max-loss" if max_loss is not None else "--surely" if surely else ""
    if precision == "fp32" and given:
        raise ModelError(
            f"{given} is for bf16 and int8; an fp32 bundle may change no answer at all.",
            remedy=f"Leave {given} out, or add --precision int8.",
        )


def _place(
    trained: Trained, into: str | Path | None, precision: Precision, model_format: ModelFormat
) -> Path:
    if into is not None:
        return Path(into)
    more = [one for one in (model_format, precision) if one not in ("onnx", "fp32")]
    return Path("affinage-bundles") / "-".join([trained.folder.name, *more])


def _draft(
    trained: Trained,
    data: ExportData,
    model_format: ModelFormat,
    precision: Precision,
    batch: int | None,
) -> Bundle:
    """Return what is known before anything is proved."""
    return Bundle(
        model_format=model_format,
        precision=precision,
        model_file=FILES[model_format],
        any_size=False,
        preprocessing=trained.card.preprocessing,
        features=trained.model.head.in_features,
        reading=reading_of(trained),
        origin=_origin(trained, data),
        parity=Parity(images=0, changed_top1=0, max_abs_difference={}, stages=(), against=""),
        batch=batch,
    )


def reading_of(trained: Trained) -> Reading:
    """Return how the outputs of a run's exported model are read."""
    card, calibration = trained.card, trained.card.calibration
    kinds: dict[str, OutputKind] = {
        "label": "probability",
        "labels": "probability",
        "counts": "count",
    }
    kind = kinds[trained.work.task.target]
    if kind == "count" and trained.recipe.count.target == "frequency":
        kind = "share"
    return Reading(
        task=card.task,
        labels=card.classes,
        kind=kind,
        temperature=calibration.temperature,
        positive=calibration.positive,
        threshold=calibration.threshold,
        rule=calibration.rule,
        thresholds=calibration.thresholds,
        margins=calibration.margins,
        coverage=calibration.coverage,
    )


def _origin(trained: Trained, data: ExportData) -> Origin:
    card, split, state = trained.card, data.split, trained.folder.state()
    record = trained.folder.record() if trained.folder.finished else None
    scores = record.evaluations if record is not None else {}
    return Origin(
        run=trained.folder.name,
        created=now(),
        affinage=affinage.__version__,
        data=str(state["data"]),
        backbone=card.backbone,
        weights=card.weights,
        licence=card.licence,
        parameters=card.parameters,
        train=len(split.train),
        validation=len(split.validation),
        test=len(split.test),
        scores={part: _estimates(one, trained.work.task.metrics) for part, one in scores.items()},
        choice=record.choice if record is not None else "",
    )


def _estimates(evaluation: AnyEvaluation, metrics: tuple[str, ...]) -> dict[str, Estimate]:
    found = {name: getattr(evaluation, name, None) for name in metrics}
    return {name: one for name, one in found.items() if isinstance(one, Estimate)}


def _softmax(raw: Tensor, *, temperature: float) -> Tensor:
    return torch.softmax(raw / temperature, dim=1)
