"""One export at work: the bundle's files are written, proved equal to the trained model, and measured."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.bundle.passes import Pass, open_pass
from affinage.bundle.reader import BundleReader
from affinage.bundle.timing import measure_speed
from affinage.errors import AffinageError, ModelError
from affinage.exporting.baseline import as_judged, baseline_part
from affinage.exporting.card import licence_note, lost_in_words, model_card
from affinage.exporting.formats import (
    Network,
    resizes,
    torch_pass,
    write_model,
)
from affinage.exporting.graph import Activate, onnx_graph
from affinage.exporting.loss import loss_of
from affinage.exporting.parity import Original, Proof, prove
from affinage.exporting.quantise import CALIBRATION_IMAGES, Judge, outputs_of, quantise
from affinage.imaging.batches import Item, prepared_batches
from affinage.records.bundle import (
    Baseline,
    Bundle,
    Loss,
    Quantised,
    Speed,
)
from affinage.store.bundle import BundleFolder, Filled
from affinage.workflows.export_data import ExportData
from affinage.workflows.reporter import Reporter
from affinage.workflows.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWork:
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


def _note(draft: Bundle) -> str:
    """Return what the model's file tells of itself: labels, how answers are read, preprocessing."""
    known = asdict(draft)
    return json.dumps({name: known[name] for name in ("format", "reading", "preprocessing")})
