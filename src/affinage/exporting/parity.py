"""The proof: the exported model answers as the trained one, stage by stage, on real images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.bundle.answers import said
from affinage.bundle.passes import Pass, Rows
from affinage.bundle.reader import BundleReader
from affinage.errors import ModelError
from affinage.exporting.frame import VIEW
from affinage.exporting.graph import TENSOR
from affinage.exporting.mismatch import Difference, explain
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.imaging.resize import prepare
from affinage.models.classifier import Classifier
from affinage.records.bundle import FEATURES, OUTPUTS, Parity, Stage
from affinage.records.prediction import Prediction

STAGES = ("pixels", "view", "tensor", "features", "outputs", "answers")

ALLOWED = {"pixels": 2.0, "view": 3.0, "tensor": 1e-4, "features": 1e-3, "outputs": 1e-3}
"""Largest difference that the arithmetic of two libraries explains: grey levels of `pixels` and `view`;
of `features` and `outputs` times the largest number there, where that is above 1."""

MEAN_LEVELS = 0.1
"""Mean difference of a view in grey levels from which its filter is another one."""

CHUNK = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The trained model, as the run itself answers.

    Attributes:
        model: In PyTorch, fp32, evaluation mode.
        answer: From a row of raw outputs to the answer of the run.
        labels: In the order of its outputs.
    """

    model: Classifier
    answer: Callable[[NDArray[np.float32]], Prediction]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was compared.

    Attributes:
        parity: Each stage's differences.
        trained: What the trained model's outputs mean, shape (n, labels).
        exported: What the exported one's are, from the same files.
    """

    parity: Parity
    trained: NDArray[np.float64]
    exported: NDArray[np.float64]


@dataclass(slots=True)
class _Seen:
    """Differences of one stage so far, and the first worst example."""

    largest: float = 0.0
    total: float = 0.0
    numbers: int = 0
    scale: float = 1.0
    example: tuple[NDArray[Any], NDArray[Any]] | None = None
    frame: NDArray[np.uint8] | None = None

    def add(
        self,
        trained: NDArray[Any],
        exported: NDArray[Any],
        frame: NDArray[np.uint8] | None = None,
    ) -> None:
        if trained.shape != exported.shape:
            self.largest, self.example, self.frame = float("inf"), (trained, exported), frame
            self.numbers += 1
            return
        apart = np.abs(exported.astype(np.float64) - trained)
        largest = float(apart.max(initial=0.0))
        if not np.isfinite(largest):
            largest = float("inf")
        if self.example is None or largest > self.largest:
            self.example, self.frame = (trained, exported), frame
        self.largest = max(self.largest, largest)
        self.total += float(apart.sum())
        self.numbers += apart.size
        self.scale = max(self.scale, float(np.abs(trained).max(initial=0.0)))


@dataclass(slots=True)
class _Comparison:
    """What was seen of all stages."""

    stages: dict[str, _Seen] = field(default_factory=lambda: {name: _Seen() for name in STAGES})
    changed: int = 0
    trained: list[NDArray[np.float64]] = field(default_factory=list)
    exported: list[NDArray[np.float64]] = field(default_factory=list)


def prove(
    original: Original,
    reader: BundleReader,
    look: Pass,
    items: Sequence[Item],
    *,
    exact: bool = True,
    progress: Progress | None = None,
) -> Proof:
    """Compare the exported model with the trained one on images, each stage given the same input.

    Args:
        original: The trained model.
        reader: The bundle as its users will open it.
        look: The same model, with what is within it shown too, as far as its format can.
        items: Images of the validation part.
        exact: Whether it is to give the same numbers; of a lower precision, they are only told.
        progress: Told (done, total) images.

    Raises:
        ModelError: If a stage differs by more than arithmetic explains, or an answer changes; it names
            the cause where the difference tells it.
    """
    if reader.labels != original.labels:
        raise _unlike(
            "labels",
            f"the labels are in another order: {_few(reader.labels)} where the run has "
            f"{_few(original.labels)}",
        )
    seen = _Comparison()
    size = reader.record.batch or CHUNK
    for start in range(0, len(items), size):
        _compare(seen, original, reader, look, items[start : start + size])
        if progress is not None:
            progress(min(start + size, len(items)), len(items))
    for name in STAGES if exact else ("pixels", "view"):
        _check(name, seen.stages[name], original, reader)
    if exact and seen.changed:
        raise _unlike("answers", f"{seen.changed} of {len(items)} images get another answer")
    stages = tuple(_stage(name, seen.stages[name], exact=exact) for name in STAGES)
    parity = Parity(
        images=len(items),
        changed_top1=seen.changed,
        max_abs_difference={stage.name: stage.max_abs_difference for stage in stages},
        stages=stages,
        against=f"PyTorch {torch.__version__}, fp32",
    )
    return Proof(parity=parity, trained=np.stack(seen.trained), exported=np.stack(seen.exported))


def _compare(
    seen: _Comparison,
    original: Original,
    reader: BundleReader,
    look: Pass,
    items: Sequence[Item],
) -> None:
    kind = original.model.preprocessing
    views, own = [], []
    frames: list[NDArray[np.uint8]] = []
    for item in items:
        data = read(item)
        pixels, frame = decode(data).pixels, reader.pixels(data)
        seen.stages["pixels"].add(pixels, frame)
        views.append(prepare(pixels, kind))
        own.append(reader.view(frame))
        frames.append(frame)
        seen.stages["view"].add(views[-1], reader.view(pixels), pixels)
        if reader.record.any_size:
            seen.stages["view"].add(views[-1], look(pixels[None], prepared=False)[VIEW][0], pixels)
    _compare_numbers(seen, original, reader, look, np.stack(views))
    by_reader = reader.compute(np.stack(own))[OUTPUTS]
    for frame, row, truth in zip(frames, by_reader, seen.trained[-len(items) :], strict=True):
        rows = [row]
        if reader.record.any_size:
            rows.append(reader.frame(frame[None])[OUTPUTS][0])
        for one in rows:
            seen.stages["answers"].add(truth, one.astype(np.float64))
        wanted = said(reader.answer(truth))
        seen.changed += any(said(reader.answer(one)) != wanted for one in rows)
        seen.exported.append(row.astype(np.float64))


def _compare_numbers(
    seen: _Comparison,
    original: Original,
    reader: BundleReader,
    look: Pass,
    views: NDArray[np.uint8],
) -> None:
    model = original.model.eval()
    with torch.inference_mode():
        given = torch.from_numpy(views)
        tensor, features = model.normalise(given), model.features(given)
        raw = model.head(features).float().numpy()
    truth = np.stack([_values(original.answer(row)) for row in raw])
    found = _filled(look, views, reader.record.batch)
    if TENSOR in found:
        seen.stages["tensor"].add(tensor.numpy(), found[TENSOR])
    seen.stages["features"].add(features.numpy(), found[FEATURES])
    seen.stages["outputs"].add(truth, found[OUTPUTS])
    seen.trained.extend(truth)


def _filled(look: Pass, views: NDArray[np.uint8], batch: int | None) -> Rows:
    short = (batch or len(views)) - len(views)
    whole = np.concatenate([views, np.repeat(views[:1], short, axis=0)]) if short else views
    return {name: rows[: len(views)] for name, rows in look(whole, prepared=True).items()}


def _values(prediction: Prediction) -> NDArray[np.float64]:
    """Return what an answer says as numbers, in the order of the labels."""
    return np.array(
        list((prediction.counts or prediction.probabilities).values()), dtype=np.float64
    )


def _check(name: str, seen: _Seen, original: Original, reader: BundleReader) -> None:
    stage = _stage(name, seen, exact=True)
    another_filter = name == "view" and stage.mean_abs_difference > MEAN_LEVELS
    if stage.allowed is None or (stage.max_abs_difference <= stage.allowed and not another_filter):
        return
    assert seen.example is not None
    trained, exported = seen.example
    raise _unlike(
        name,
        explain(
            Difference(
                stage=stage,
                trained=trained,
                exported=exported,
                preprocessing=original.model.preprocessing,
                reading=reader.record.reading,
                frame=seen.frame,
            )
        ),
    )


def _stage(name: str, seen: _Seen, *, exact: bool) -> Stage:
    times = seen.scale if name in ("features", "outputs") else 1.0
    told_only = name not in ALLOWED or not (exact or name in ("pixels", "view"))
    return Stage(
        name=name,
        max_abs_difference=seen.largest,
        mean_abs_difference=seen.total / max(1, seen.numbers),
        allowed=None if told_only else ALLOWED[name] * times,
    )


def _unlike(stage: str, why: str) -> ModelError:
    return ModelError(
        f"The exported model is not the trained one, at the stage '{stage}': {why}. "
        "No bundle was written.",
        remedy="Export again with another --format; if that fails too, report it with this message.",
    )


def _few(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:4]) + (", …" if len(labels) > 4 else "")
