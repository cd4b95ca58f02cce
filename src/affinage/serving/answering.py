"""From the bytes of images to answers and what the log keeps of them, by the bundle that is served now."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.measure import appearance
from affinage.imaging.sniff import kind_of
from affinage.records.bundle import MEASURES, Bundle
from affinage.records.prediction import Prediction
from affinage.records.served import Served
from affinage.serving.limits import Limits


class Reader(Protocol):
    """An opened bundle, as `affinage.bundle` gives it."""

    record: Bundle

    def view(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what the model sees of a frame."""

    def compute(self, views: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Return `features` and `outputs` of views, a row for each; called in several threads."""

    def answer(self, row: NDArray[np.floating], *, path: str = "") -> Prediction:
        """Return what a row of outputs says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A bundle that is served.

    Attributes:
        reader: Opened.
        identity: SHA-256 of its checksums.
        name: Of its folder.
    """

    reader: Reader
    identity: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An image that was sent.

    Attributes:
        name: As the client called it.
        data: The whole file.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What is said of an image, and what of it is logged.

    Attributes:
        prediction: With `path` as the client called it.
        image: SHA-256 of the file's bytes.
        bundle: Identity of the bundle that answered.
        served: For the log; None where the image could not be read.
    """

    prediction: Prediction
    image: str
    bundle: str
    served: Served | None = None


class Answerer:
    """Answers batches by the bundle that is served now, which may be exchanged at any time.

    A batch is answered by one bundle from its first image to its last.

    Args:
        loaded: The first bundle.
        limits: Of pixels and formats.
        heard: Told of what was answered; must not raise.
    """

    def __init__(
        self,
        loaded: Loaded,
        limits: Limits,
        heard: Callable[[Sequence[Upload], Sequence[Answered]], None],
    ) -> None:
        self._loaded, self._limits, self._heard = loaded, limits, heard
        self._lock = threading.Lock()

    @property
    def loaded(self) -> Loaded:
        """The bundle that is served now."""
        return self._loaded

    def exchange(self, loaded: Loaded) -> None:
        """Serve another bundle from the next batch on."""
        with self._lock:
            self._loaded = loaded

    def __call__(self, uploads: Sequence[Upload]) -> list[Answered | Exception]:
        """Return an answer for each image; an unreadable one is answered by the reason."""
        loaded = self._loaded
        seen = [self._see(loaded, one) for one in uploads]
        rows = self._computed(loaded, [one.view for one in seen if isinstance(one, _Seen)])
        answers: list[Answered] = []
        row = 0
        for upload, one in zip(uploads, seen, strict=True):
            if isinstance(one, Answered):
                answers.append(one)
                continue
            answers.append(_answered(loaded, upload, one, rows, row))
            row += 1
        self._heard(uploads, answers)
        return list(answers)

    def _computed(
        self, loaded: Loaded, views: list[NDArray[np.uint8]]
    ) -> Mapping[str, NDArray[Any]]:
        """Return features and outputs of views, computed so many at a time as is fastest."""
        size = max(1, self._limits.batch)
        starts = range(0, len(views), size)
        parts = [loaded.reader.compute(np.stack(views[at : at + size])) for at in starts]
        if len(parts) < 2:
            return parts[0] if parts else {}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _see(self, loaded: Loaded, upload: Upload) -> "_Seen | Answered":
        image = content_id(upload.data)
        try:
            kind = kind_of(upload.data)
            if kind not in self._limits.formats:
                raise ImageError(
                    f"{kind}, which is not among the formats read here"
                    f" ({', '.join(self._limits.formats)}).",
                    remedy="Save it as JPEG or PNG.",
                )
            decoded = decode(upload.data, max_pixels=self._limits.pixels)
        except ImageError as error:
            return Answered(
                prediction=Prediction(
                    path=upload.name, label=None, confidence=None, probabilities={},
                    reason=error.problem,
                ),
                image=image,
                bundle=loaded.identity,
            )  # fmt: skip
        height, width = decoded.pixels.shape[:2]
        return _Seen(
            image=image,
            view=loaded.reader.view(decoded.pixels),
            measures=_measures(decoded.pixels, upload.data, width, height),
            notes=decoded.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    image: str
    view: NDArray[np.uint8]
    measures: NDArray[np.float32]
    notes: tuple[str, ...]


def _measures(
    pixels: NDArray[np.uint8], data: bytes, width: int, height: int
) -> NDArray[np.float32]:
    found = appearance(pixels) | {"width": width, "height": height, "bytes": len(data)}
    return np.array([found[name] for name in MEASURES], dtype=np.float32)


def _answered(
    loaded: Loaded, upload: Upload, seen: _Seen, rows: Mapping[str, NDArray[Any]], row: int
) -> Answered:
    outputs = rows["outputs"][row]
    said = loaded.reader.answer(outputs, path=upload.name)
    if seen.notes:
        said = _noted(said, seen.notes)
    served = Served(
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        image=seen.image,
        name=upload.name,
        bundle=loaded.identity,
        label=said.label or "; ".join(said.labels),
        outputs=outputs.astype(np.float32),
        measures=seen.measures,
        features=rows["features"][row].astype(np.float16),
        notes=seen.notes,
    )
    return Answered(prediction=said, image=seen.image, bundle=loaded.identity, served=served)


def _noted(said: Prediction, notes: tuple[str, ...]) -> Prediction:
    return Prediction(
        path=said.path, label=said.label, confidence=said.confidence,
        probabilities=said.probabilities, labels=said.labels, counts=said.counts,
        ranges=said.ranges, reason=said.reason, notes=notes,
    )  # fmt: skip
