"""The verb `serve`: a bundle answers over HTTP, within bounds, and is watched."""

import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from affinage.bundle import open_bundle
from affinage.errors import AffinageError, RecipeError
from affinage.serving.answering import Answered, Loaded, Reader, Upload
from affinage.serving.app import create_app
from affinage.serving.counters import Counters
from affinage.serving.guarding import LOOPBACK, Guard
from affinage.serving.launching import launch, listening
from affinage.serving.limits import Limits
from affinage.serving.memory import give_back
from affinage.serving.service import Parts
from affinage.store.bundle import BundleFolder
from affinage.store.prediction_log import PredictionLog
from affinage.workflows.reporter import Reporter, Silent
from affinage.workflows.serve_watch import Watched

PORT = 8000

_BATCHES = (1, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What a server is told.

    Attributes:
        host: Address to listen at; another than loopback needs a token.
        port: 0 to 65535; 0 takes any that is free.
        token: Asked of everyone; None asks for none on loopback, and makes one elsewhere.
        log: Folder of the log; None keeps none.
        log_megabytes: Bound of the log, and of the pictures if they are kept.
        keep_pictures: Keep the images themselves, so that they can be labelled later.
        allow_urls: Hosts whose addresses are fetched; `*` for any on the public internet.
        limits: Bounds.
        threads: That compute; None for one on each processor.
        window: Images that drift is judged on together.
        false_alarms: Share of windows without shift that may raise an alarm.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    log: Path | None = None
    log_megabytes: int = 256
    keep_pictures: bool = False
    allow_urls: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    window: int = 200
    false_alarms: float = 0.01

    def __post_init__(self) -> None:
        ranges = {
            "port": (self.port, 0, 65_535),
            "log-mb": (self.log_megabytes, 1, 1_000_000),
            "threads": (self.threads or 1, 1, 256),
            "window": (self.window, 30, 100_000),
            "max-mb": (self.limits.megabytes, 1, 1_000),
            "max-pixels": (self.limits.pixels, 1, 1_000_000_000),
            "max-images": (self.limits.images, 1, 1_000),
            "timeout": (self.limits.seconds, 0.1, 3_600),
            "queue": (self.limits.waiting, 1, 100_000),
            "batch": (self.limits.batch, 0, 256),
            "linger-ms": (self.limits.linger_ms, 0, 1_000),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                raise RecipeError(
                    f"{name} is {value:g}; it can be {low:g} to {high:,}.",
                    remedy=f"Give --{name} a number in that range.",
                )
        if not 0 < self.false_alarms < 1:
            raise RecipeError(
                f"false-alarms is {self.false_alarms:g}; it is a share between 0 and 1.",
                remedy="Give --false-alarms 0.01 for one window in a hundred.",
            )
        if self.limits.waiting < self.limits.images:
            raise RecipeError(
                f"queue is {self.limits.waiting}, less than the {self.limits.images} images that one"
                " request may hold: such a request could never be answered.",
                remedy=f"Give --queue at least {self.limits.images}, or a smaller --max-images.",
            )
        if self.keep_pictures and self.log is None:
            raise RecipeError(
                "Pictures are kept in the log's folder, and there is no log.",
                remedy="Give --log FOLDER.",
            )


def serve(
    bundle: str | Path,
    settings: ServeSettings | None = None,
    *,
    reporter: Reporter | None = None,
) -> None:
    """Serve a bundle until interrupted; then answer what was accepted.

    Args:
        bundle: The folder that `affinage export` wrote.
        settings: What the server is told.
        reporter: Told of the address and the token.

    Raises:
        RunError: If it is no bundle, or damaged.
        RecipeError: If a setting is out of range.
        AffinageError: If the port is taken.
    """
    give_back()
    told = reporter or Silent()
    asked = settings or ServeSettings()
    settings = with_token(asked)
    app = create_server(bundle, settings, say=told.say)
    with listening(settings.host, settings.port) as at:
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = at.getsockname()[1]
        told.say(f"Serving '{Path(bundle).resolve().name}' at http://{shown}:{port}/")
        if settings.token != asked.token:  # One that was given is known, and has no place in a log.
            told.say(f"Token: {settings.token}")
        launch(app, at=at, grace=settings.limits.seconds)


def with_token(settings: ServeSettings) -> ServeSettings:
    """Return settings with a token where one is needed and none was given."""
    if settings.token is None and settings.host not in LOOPBACK:
        return replace(settings, token=secrets.token_urlsafe(24))
    return settings


def create_server(
    bundle: str | Path, settings: ServeSettings, *, say: Callable[[str], None] = lambda _: None
) -> FastAPI:
    """Return the application that serves a bundle, for a server of your own or a test.

    Args:
        bundle: The folder that `affinage export` wrote.
        settings: What the server is told.
        say: Told of what goes wrong with the log.

    Raises:
        RunError: If it is no bundle, or damaged.
    """
    path, cores = Path(bundle), _cores()
    # OpenVINO's request takes one caller at a time, and computes in threads of its own.
    alone = BundleFolder(path).read(verify=False).model_format == "openvino"
    threads = 1 if alone else settings.threads or cores
    # One image in each thread: images of different requests do not wait for each other.
    each = max(1, cores // threads)
    first = _load(path, each)
    counters = Counters()
    log = None
    if settings.log is not None:
        log = PredictionLog(settings.log, megabytes=settings.log_megabytes)
    watched = Watched(path, window=settings.window, rate=settings.false_alarms, counters=counters)
    keeper = Kept(log, watched, pictures=settings.keep_pictures, say=say)
    return create_app(
        Parts(
            first=first,
            load=lambda: _load(path, each),
            keeper=keeper,
            counters=counters,
            limits=replace(
                settings.limits, batch=settings.limits.batch or fastest_batch(first.reader)
            ),
            guard=Guard(token=settings.token, hosts=_hosts(settings)),
            threads=threads,
            fetch=_fetcher(settings),
            say=say,
        )
    )


class Kept:
    """The log of a server and what watches it; a full disk ends the log, not the server.

    Args:
        log: Where it is kept; None keeps none.
        watched: Judges windows.
        pictures: Whether images are kept too.
        say: Told once when the log cannot be written.
    """

    def __init__(
        self,
        log: PredictionLog | None,
        watched: Watched,
        *,
        pictures: bool,
        say: Callable[[str], None],
    ) -> None:
        self._log, self._watched, self._pictures, self._say = log, watched, pictures, say
        self._failed = threading.Event()

    def heard(self, uploads: Sequence[Upload], answers: Sequence[Answered]) -> None:
        """Log what was answered, and let it be watched."""
        served = [answer.served for answer in answers if answer.served is not None]
        self._watched.take(served)
        if self._log is None or not served:
            return
        try:
            self._log.append(served)
            for upload, answer in zip(uploads, answers, strict=True):
                if self._pictures and answer.served is not None:
                    self._log.keep_picture(answer.image, upload.data)
        except AffinageError as error:
            if not self._failed.is_set():
                self._failed.set()
                self._say(f"{error.problem} Images are answered on, and not logged.")

    def correct(self, image: str, name: str, said: str, label: str, at: str) -> None:
        """Keep what a person says of an image.

        Raises:
            AffinageError: If there is no log, or it cannot be written.
        """
        if self._log is None:
            raise AffinageError(
                "This server keeps no log, so no corrections.", remedy="Start it with --log FOLDER."
            )
        self._log.correct(image, name, said, label, at)

    def drift(self) -> dict[str, Any]:
        """Return what the last window showed."""
        return self._watched.last()


def fastest_batch(reader: Reader) -> int:
    """Return how many images computed together take the least time each, 1, 4 or 8.

    More than one only where that gains a tenth: a larger batch lets its first image wait for its last.
    """
    record = reader.record
    if record.batch is not None:
        return record.batch
    shape = (record.preprocessing.height, record.preprocessing.width, 3)
    each = {}
    for size in _BATCHES:
        views = np.zeros((size, *shape), dtype=np.uint8)
        reader.compute(views)
        each[size] = min(_seconds(reader, views) for _ in range(3)) / size
    best = min(each, key=lambda size: each[size])
    return best if each[best] < 0.9 * each[1] else 1


def _seconds(reader: Reader, views: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    reader.compute(views)
    return time.perf_counter() - start


def _load(path: Path, threads: int) -> Loaded:
    reader = open_bundle(path, threads=threads)
    if not reader.record.reading.labels:
        raise AffinageError(f"'{path}' has no labels.", remedy="Export the run again.")
    return Loaded(reader=reader, identity=reader.folder.identity, name=reader.folder.name)


def _hosts(settings: ServeSettings) -> frozenset[str]:
    return LOOPBACK if settings.host in LOOPBACK and settings.token is None else frozenset()


def _fetcher(settings: ServeSettings) -> Callable[[str], Awaitable[bytes]] | None:
    if not settings.allow_urls:
        return None
    from affinage.workflows.serve_addresses import fetcher  # noqa: PLC0415 - needs aiohttp, which a small image lacks.

    return fetcher(settings.allow_urls, settings.limits)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
