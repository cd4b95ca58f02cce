"""The verb `export`: a run becomes a bundle, with the proof that it answers as the trained model."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import affinage
from affinage.bundle.passes import Pass, open_pass
from affinage.bundle.reader import BundleReader
from affinage.bundle.timing import measure_speed
from affinage.errors import AffinageError, ModelError
from affinage.exporting.baseline import as_judged, baseline_part
from affinage.exporting.card import licence_note, lost_in_words, model_card
from affinage.exporting.formats import (
    FILES,
    Network,
    check_format,
    resizes,
    torch_pass,
    write_model,
)
from affinage.exporting.graph import Activate, onnx_graph
from affinage.exporting.loss import loss_of
from affinage.exporting.parity import Original, Proof, prove
from affinage.exporting.quantise import CALIBRATION_IMAGES, Judge, outputs_of, quantise
from affinage.imaging.batches import Item, prepared_batches
from affinage.models.parts import Parts
from affinage.monitoring.drift import FEWEST
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.bundle import (
    Baseline,
    Bundle,
    Loss,
    ModelFormat,
    Origin,
    OutputKind,
    Parity,
    Precision,
    Quantised,
    Reading,
    Speed,
)
from affinage.records.estimate import Estimate
from affinage.store.bundle import BundleFolder, Filled, require_free, write_bundle
from affinage.workflows.export_data import ExportData, export_data
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
    work = _Export(
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Export:
    """One export at work."""

    trained: Trained
    data: ExportData
    told: Reporter
    activate: Activate
    draft: Bundle
    proved_on: list[Item]
    max_loss: float
    surely: bool
    speed: bool

    def fill(self, folder: BundleFolder) -> Filled:
        """Write the model's files into a folder, prove them, and return what is known."""
        network, quantised = self._network()
        free = resizes(self.draft.model_format, network)
        draft = replace(self.draft, any_size=free, quantised=quantised)
        path = folder.path / draft.model_file
        with _told_if_it_does_not_run():
            look = write_model(path, draft, network, note=_note(draft))
            reader = BundleReader(folder, draft, self._opened(folder, draft))
            proof = self._prove(reader, look)
        bundle = replace(draft, parity=proof.parity, loss=self._loss(proof))
        baseline = self._baseline(reader)
        if self.speed and bundle.model_format != "torch":
            folder.save(bundle)  # As another process opens it, to see how much memory that takes.
            bundle = replace(bundle, speed=self._speed(folder, bundle, baseline))
        folder.card.write_text(model_card(bundle), encoding="utf-8")
        folder.licence.write_text(licence_note(bundle), encoding="utf-8")
        return bundle, baseline

    def _network(self) -> tuple[Network, Quantised | None]:
        model, batch = self.trained.model, self.draft.batch
        network = Network(
            model=model, activate=self.activate, graph=None,
            preprocessing=self.trained.card.preprocessing, batch=batch,
        )  # fmt: skip
        if self.draft.model_format == "torch":
            return network, None
        self.told.say("writing the network as ONNX")
        network = replace(network, graph=onnx_graph(model, self.activate, batch=batch))
        if self.draft.precision != "int8":
            return network, None
        found = quantise(
            network.graph,
            views=self._views(self.data.train[:CALIBRATION_IMAGES]),
            judge=self._judge(network.graph),
            max_loss=self.max_loss,
            threads=self.trained.engine.threads,
            say=self.told.say,
        )
        return replace(network, graph=found.graph), found.record

    def _opened(self, folder: BundleFolder, draft: Bundle) -> Pass:
        if draft.model_format == "torch":
            return torch_pass(folder.path / draft.model_file)
        return open_pass(folder.path, draft, threads=self.trained.engine.threads)

    def _prove(self, reader: BundleReader, look: Pass) -> Proof:
        calibration = self.trained.card.calibration
        return prove(
            Original(
                model=self.trained.model,
                answer=lambda row: self.trained.work.answer("", row, calibration, ()),
                labels=self.trained.card.classes,
            ),
            reader,
            look,
            self.proved_on,
            exact=self.draft.precision == "fp32",
            progress=partial(self.told.phase, "proving on validation images"),
        )

    def _loss(self, proof: Proof) -> Loss | None:
        """Return what the precision costs.

        Raises:
            ModelError: If that is more than is allowed.
        """
        if self.draft.precision == "fp32":
            return None
        loss = loss_of(
            self.draft.reading, proof.trained, proof.exported, self._truth(),
            allowed=self.max_loss, surely=self.surely,
        )  # fmt: skip
        if loss.counted > self.max_loss:
            raise ModelError(
                f"{self.draft.precision} costs too much: {lost_in_words(loss)} No bundle was written.",
                remedy="Allow more with --max-loss, or export with --precision fp32.",
            )
        return loss

    def _truth(self) -> NDArray[np.float64]:
        rows = np.stack([self.data.targets[item.image] for item in self.proved_on])
        return self._as_read(np.asarray(rows, dtype=np.float64))

    def _as_read(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return targets as outputs are: counts as shares of an image's objects where these are learnt."""
        if self.draft.reading.kind != "share":
            return targets
        shares: NDArray[np.float64] = targets / np.maximum(
            targets.sum(axis=1, keepdims=True), 1e-12
        )
        return shares

    def _views(self, items: list[Item]) -> NDArray[np.uint8]:
        kind, threads = self.trained.card.preprocessing, self.trained.engine.threads
        batches = prepared_batches(items, kind, batch_size=32, threads=threads)
        return np.concatenate(list(batches))

    def _judge(self, graph: Any) -> Judge:
        """Return what says of another graph how much it loses beside this one, on validation images."""
        views, threads = self._views(self.proved_on), self.trained.engine.threads
        batch, truth = self.draft.batch or 16, self._truth()
        exact = outputs_of(graph, views, threads=threads, batch=batch)
        same = loss_of(
            self.draft.reading, exact, exact, truth, allowed=self.max_loss, surely=self.surely
        )
        if same.counted > self.max_loss:
            raise ModelError(
                f"{same.lost.n} validation images are too few for --surely: even a bundle that changes no"
                f" answer has an upper end of {same.counted:.1f}; {self.max_loss:g} is allowed.",
                remedy="Leave --surely out, allow more with --max-loss, or give more validation images.",
            )

        def judge(other: Any) -> Loss:
            rows = outputs_of(other, views, threads=threads, batch=batch)
            return loss_of(
                self.draft.reading, exact, rows, truth, allowed=self.max_loss, surely=self.surely
            )

        return judge

    def _baseline(self, reader: BundleReader) -> Baseline:
        parts = {
            name: baseline_part(
                reader,
                items,
                self.data.targets,
                threads=self.trained.engine.threads,
                progress=partial(self.told.phase, f"baseline of {name} images"),
            )
            for name, items in (("train", self.data.train), ("validation", self.data.validation))
        }
        validation = parts["validation"]
        if self.data.split.carved:
            # The kept head was refitted on validation too: there it is surer than on any new image.
            before = self.trained.folder.predictions()
            validation = as_judged(validation, before, self.draft.reading.labels)
        return Baseline(train=parts["train"], validation=validation)

    def _speed(self, folder: BundleFolder, bundle: Bundle, baseline: Baseline) -> Speed:
        return measure_speed(
            folder.path,
            bundle,
            frame=baseline.train.frame,
            threads=self.trained.engine.threads,
            progress=partial(self.told.phase, "timing"),
        )


@contextlib.contextmanager
def _told_if_it_does_not_run() -> Iterator[None]:
    """Tell what a runtime says of a model that it cannot take, without its traceback."""
    try:
        yield
    except (AffinageError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - Runtimes have exceptions of their own.
        why = " ".join(str(error).split())[:300]
        raise ModelError(
            f"The exported model does not run: {why} No bundle was written.",
            remedy="Fix the shape with --batch 1, or use another --format.",
        ) from None


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


def _note(draft: Bundle) -> str:
    """Return what the model's file tells of itself: labels, how answers are read, preprocessing."""
    known = asdict(draft)
    return json.dumps({name: known[name] for name in ("format", "reading", "preprocessing")})


def _softmax(raw: Tensor, *, temperature: float) -> Tensor:
    return torch.softmax(raw / temperature, dim=1)
