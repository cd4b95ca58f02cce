"""The server as an application: what is asked by which path, and what is answered."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from affinage.errors import AffinageError
from affinage.serving.describing import CORRECT, PREDICT
from affinage.serving.guarding import Guarded
from affinage.serving.replies import corrected, described, predicted, timed
from affinage.serving.service import Parts, Service


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
    app.add_exception_handler(HTTPException, _refused)
    app.add_middleware(Straight, held=held)
    app.add_middleware(Guarded, guard=parts.guard)  # The last one is asked first.
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
        return described(held["service"].answerer.loaded)

    @app.get("/metrics", response_class=PlainTextResponse, summary="Counts, for Prometheus")
    async def metrics() -> Response:
        service = held["service"]
        parts.counters.waiting.set(service.batcher.waiting)
        parts.counters.held.set(service.intake.held)
        return Response(parts.counters.text(), media_type="text/plain; version=0.0.4")

    @app.get("/drift", summary="What the last window of images showed")
    async def drift() -> dict[str, Any]:
        return await run_in_threadpool(parts.keeper.drift)

    @app.post("/predict", summary="What the model says of images", openapi_extra=PREDICT)
    async def predict(request: Request) -> Response:
        return await _predict(held["service"], request)

    @app.post("/correct", summary="What an image shows in truth", openapi_extra=CORRECT)
    async def correct(request: Request) -> Response:
        service = held["service"]
        return await timed(service, lambda: corrected(service, request))

    @app.post("/reload", summary="Serve the bundle as it lies there now")
    async def reload() -> Response:
        try:
            return JSONResponse(described(await held["service"].exchange()))
        except AffinageError as error:
            return JSONResponse(
                {"error": error.problem, "remedy": error.remedy, "served": "the bundle before"},
                status_code=409,
            )

    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say of a path or a method that there is none, in the shape of every refusal."""
    assert isinstance(error, HTTPException)
    why = {
        404: f"There is no {request.url.path} here; GET /openapi.json lists what there is.",
        405: f"{request.url.path} is not asked by {request.method}; GET /openapi.json says how.",
    }
    told = why.get(error.status_code, str(error.detail))
    return JSONResponse({"error": told}, status_code=error.status_code, headers=error.headers)


def _exchange_on_hangup(service: Service) -> None:
    """Exchange the bundle on SIGHUP, where there is that signal and this is the main thread."""
    tasks: set[asyncio.Task[None]] = set()

    async def exchange() -> None:
        try:
            loaded = await service.exchange()
        except AffinageError as error:
            why = f"{error.problem} {error.remedy}"
            service.parts.say(f"Not exchanged, the bundle before is served on: {why}")
        else:
            service.parts.say(
                f"Exchanged: '{loaded.name}', run '{loaded.reader.record.origin.run}'."
            )

    def begin() -> None:
        task = asyncio.ensure_future(exchange())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)


class Straight:
    """Hands `POST /predict` on without asking the routes: half of what a request costs beside its image.

    Args:
        app: What answers everything else.
        held: Where the service is once the server runs.
    """

    def __init__(self, app: ASGIApp, held: dict[str, Service]) -> None:
        self._app, self._held = app, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != "/predict" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        response = await _predict(self._held["service"], Request(scope, receive))
        await response(scope, receive, send)


async def _predict(service: Service, request: Request) -> Response:
    return await timed(service, lambda: predicted(service, request))
