"""The server as an application: what is asked by which path, and what is answered."""

import asyncio
import dataclasses
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Protocol

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affinage.errors import AffinageError
from affinage.records.bundle import Bundle
from affinage.records.prediction import Prediction
from affinage.serving.answering import Answered, Answerer, Loaded, Upload
from affinage.serving.batching import Batcher, Busy
from affinage.serving.bodies import Intake, Refused
from affinage.serving.counters import Counters
from affinage.serving.guarding import Guard, Guarded
from affinage.serving.limits import Limits

FORMAT = 1
_ADDRESS = 4096


class Keeper(Protocol):
    """What keeps the log and judges it; the workflow gives one."""

    def heard(self, uploads: Sequence[Upload], answers: Sequence[Answered]) -> None:
        """Take what was answered; called in the threads that compute, must not raise."""

    def correct(self, image: str, name: str, said: str, label: str, at: str) -> None:
        """Keep what a person says of an image."""

    def drift(self) -> dict[str, Any]:
        """Return what the last window showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server is made of.

    Attributes:
        first: The bundle that it begins with.
        load: Opens the bundle anew, for an exchange.
        keeper: Keeps the log.
        counters: For Prometheus.
        limits: Bounds.
        guard: Who may ask.
        threads: That compute.
        fetch: From an address to the bytes of a file; None where addresses are not asked.
    """

    first: Loaded
    load: Callable[[], Loaded]
    keeper: Keeper
    counters: Counters
    limits: Limits
    guard: Guard
    threads: int
    fetch: Callable[[str], Awaitable[bytes]] | None = None


class Service:
    """A server at work: its threads, its bundle, its bounds.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts, self.intake = parts, Intake(parts.limits)
        self.answerer = Answerer(parts.first, parts.limits, self._heard)
        self.batcher: Batcher[Upload, Answered] = Batcher(
            self.answerer,
            threads=parts.threads,
            batch=parts.limits.batch,
            waiting=parts.limits.waiting,
            linger=parts.limits.linger_ms / 1000,
        )
        self.ready = True
        self._exchanging = asyncio.Lock()
        self._name()

    async def predict(self, request: Request, address: str | None) -> list[Answered]:
        """Return an answer for each image of a request.

        Raises:
            Refused: If it cannot be answered.
        """
        self._admit()
        if address is None:
            uploads = await self.intake.uploads(request)
        else:
            uploads = [await self._fetched(address)]
        size = self.intake.hold(uploads)
        try:
            return await self._computed(uploads)
        finally:
            self.intake.release(size)

    async def exchange(self) -> Loaded:
        """Serve the bundle as it lies there now.

        Raises:
            AffinageError: If it cannot be opened; the one before is served on.
        """
        async with self._exchanging:
            try:
                loaded = await run_in_threadpool(self.parts.load)
            except AffinageError:
                self.parts.counters.exchanges.labels("failed").inc()
                raise
            self.answerer.exchange(loaded)
            self.parts.counters.exchanges.labels("done").inc()
            self._name()
            return loaded

    def close(self) -> None:
        """Answer what waits, then end the threads."""
        self.ready = False
        self.batcher.close()

    def _admit(self) -> None:
        """Refuse before a body is read where its image could not wait."""
        if self.batcher.waiting >= self.parts.limits.waiting:
            raise Refused(503, "The server is busy.", seconds=self.batcher.retry_after())

    async def _computed(self, uploads: list[Upload]) -> list[Answered]:
        try:
            futures = self.batcher.submit(uploads)
        except Busy as busy:
            raise Refused(503, busy.problem, seconds=busy.seconds) from None
        try:
            async with asyncio.timeout(self.parts.limits.seconds):
                return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))
        except TimeoutError:
            _give_up(futures)
            raise Refused(
                503,
                f"No answer within {self.parts.limits.seconds:g} s.",
                seconds=self.batcher.retry_after(),
            ) from None

    async def _fetched(self, address: str) -> Upload:
        if self.parts.fetch is None:
            raise Refused(403, "This server does not fetch addresses: send the image itself.")
        try:
            async with asyncio.timeout(self.parts.limits.seconds):
                data = await self.parts.fetch(address)
        except TimeoutError:
            raise Refused(504, "The address did not answer in time.") from None
        except AffinageError as error:
            raise Refused(400, error.problem) from None
        return Upload(name=address[:_ADDRESS], data=data)

    def _heard(self, uploads: Sequence[Upload], answers: Sequence[Answered]) -> None:
        counters = self.parts.counters
        counters.batch.observe(len(answers))
        for answer in answers:
            said = answer.prediction
            counters.images.labels("answered" if said.answered else "unreadable").inc()
            if said.label is not None:
                counters.label(said.label)
                counters.confidence.observe(said.confidence or 0.0)
        self.parts.keeper.heard(uploads, answers)

    def _name(self) -> None:
        loaded = self.answerer.loaded
        self.parts.counters.bundle.clear()
        self.parts.counters.bundle.labels(loaded.name, loaded.identity[:12]).set(1)


def create_app(parts: Parts) -> FastAPI:
    """Return the application; its threads run from its start to its shutdown."""
    held: dict[str, Service] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        held["service"] = Service(parts)
        app.state.service = held["service"]
        _exchange_on_hangup(held["service"])
        try:
            yield
        finally:
            await run_in_threadpool(held["service"].close)

    app = FastAPI(
        title="Affinage",
        summary=f"Predictions of the model '{parts.first.name}'",
        lifespan=lifespan,
        docs_url=None,  # The pages of FastAPI load scripts from elsewhere.
        redoc_url=None,
    )
    app.add_middleware(Guarded, guard=parts.guard)
    page = files("affinage.serving").joinpath("page.html").read_text(encoding="utf-8")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def home() -> str:
        return page

    @app.get("/health", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether images are answered now")
    async def ready() -> JSONResponse:
        service = held.get("service")
        room = service is not None and service.ready
        return JSONResponse({"ready": room}, status_code=200 if room else 503)

    @app.get("/model", summary="What is served")
    async def model() -> dict[str, Any]:
        return _model(held["service"].answerer.loaded)

    @app.get("/metrics", response_class=PlainTextResponse, summary="Counts, for Prometheus")
    async def metrics() -> Response:
        service = held["service"]
        parts.counters.waiting.set(service.batcher.waiting)
        parts.counters.held.set(service.intake.held)
        return Response(parts.counters.text(), media_type="text/plain; version=0.0.4")

    @app.get("/drift", summary="What the last window of images showed")
    async def drift() -> dict[str, Any]:
        return await run_in_threadpool(parts.keeper.drift)

    @app.post("/predict", summary="What the model says of images", openapi_extra=_BODY)
    async def predict(
        request: Request,
        url: str | None = Query(None, max_length=_ADDRESS, description="Address of an image"),
        top: int = Query(5, ge=0, le=1000, description="Most probable labels to list; 0 for all"),
    ) -> Response:
        return await _timed(parts, lambda: _predicted(held["service"], request, url, top))

    @app.post("/correct", summary="What an image shows in truth", openapi_extra=_CORRECTION)
    async def correct(request: Request) -> Response:
        return await _timed(parts, lambda: _corrected(held["service"], request))

    @app.post("/reload", summary="Serve the bundle as it lies there now")
    async def reload() -> Response:
        try:
            return JSONResponse(_model(await held["service"].exchange()))
        except AffinageError as error:
            return JSONResponse(
                {"error": error.problem, "remedy": error.remedy, "served": "the bundle before"},
                status_code=409,
            )

    return app


def _exchange_on_hangup(service: Service) -> None:
    """Exchange the bundle on SIGHUP, where there is that signal and this is the main thread."""
    tasks: set[asyncio.Task[None]] = set()

    async def exchange() -> None:
        with suppress(AffinageError):  # Counted; the bundle before is served on.
            await service.exchange()

    def begin() -> None:
        task = asyncio.ensure_future(exchange())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)


async def _timed(parts: Parts, answer: Callable[[], Awaitable[Response]]) -> Response:
    start = time.monotonic()
    try:
        response = await answer()
    except Refused as refused:
        headers = {} if refused.seconds is None else {"Retry-After": str(refused.seconds)}
        if refused.status in (408, 413):
            headers["Connection"] = "close"  # What is left of the body is not read.
        response = JSONResponse(
            {"error": refused.reason}, status_code=refused.status, headers=headers
        )
    parts.counters.requests.labels(str(response.status_code)).inc()
    parts.counters.seconds.observe(time.monotonic() - start)
    return response


async def _predicted(service: Service, request: Request, url: str | None, top: int) -> Response:
    answers = await service.predict(request, url)
    document = {
        "format": FORMAT,
        "model": answers[0].bundle[:12],
        "predictions": [_plain(one, top) for one in answers],
    }
    unread = len(answers) == 1 and not answers[0].prediction.answered
    return JSONResponse(document, status_code=422 if unread else 200)


async def _corrected(service: Service, request: Request) -> Response:
    if int(request.headers.get("content-length") or 0) > 10_000:
        raise Refused(413, "A correction is a few words.")
    try:
        async with asyncio.timeout(service.parts.limits.seconds):
            given = await request.json()
        image, label = given["image"], given["label"]
        texts = [image, label, given.get("name", ""), given.get("said", "")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(400, 'Send JSON: {"image": ID, "label": "what it shows"}') from None
    except TimeoutError:
        raise Refused(408, "The body took too long.") from None
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts) or not label.strip():
        raise Refused(
            400, "A correction has an image and a label, each a text of at most 200 letters."
        )
    if len(image) != 64 or not set(image) <= set("0123456789abcdef"):
        raise Refused(400, "'image' is the id that /predict gave: 64 digits, 0 to f.")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    keep = service.parts.keeper.correct
    await run_in_threadpool(keep, image, texts[2], texts[3], label.strip(), at)
    return JSONResponse({"kept": True}, status_code=201)


def _plain(answered: Answered, top: int) -> dict[str, Any]:
    """Return an answer as JSON, with the most probable labels only: there may be a million."""
    said: Prediction = answered.prediction
    document = dataclasses.asdict(said)
    ranked = sorted(said.probabilities.items(), key=lambda item: (-item[1], item[0]))
    document["probabilities"] = dict(ranked[:top] if top else ranked)
    return {"image": answered.image, **document}


def _model(loaded: Loaded) -> dict[str, Any]:
    record: Bundle = loaded.reader.record
    shown = record.reading.labels[:1000]
    return {
        "format": FORMAT,
        "name": loaded.name,
        "identity": loaded.identity,
        "task": record.reading.task,
        "labels": list(shown),
        "label_count": len(record.reading.labels),
        "run": record.origin.run,
        "created": record.origin.created,
        "backbone": record.origin.backbone,
        "precision": record.precision,
    }


def _give_up(futures: "list[Future[Answered]]") -> None:
    for future in futures:
        future.cancel()


_FILE = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "The image as the body, or one or several as files of a form.",
        "content": {
            "image/*": {"schema": _FILE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": _FILE}},
                }
            },
        },
    },
    "responses": {
        "400": {"description": "No image, or a form that cannot be read"},
        "403": {"description": "Addresses are not fetched here"},
        "408": {"description": "The body took too long"},
        "413": {"description": "Too large, or too many images"},
        "415": {"description": "Neither an image nor a form"},
        "422": {"description": "The one image cannot be read; `predictions[0].reason` says why"},
        "503": {"description": "Busy; Retry-After says when to ask again"},
    },
}
_CORRECTION: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image", "label"],
                    "properties": {
                        "image": {"type": "string"},
                        "label": {"type": "string"},
                        "name": {"type": "string"},
                        "said": {"type": "string"},
                    },
                }
            }
        }
    }
}
