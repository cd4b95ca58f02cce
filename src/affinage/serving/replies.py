"""What a server answers, as JSON."""

import asyncio
import heapq
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from affinage.errors import AffinageError
from affinage.records.bundle import Bundle
from affinage.serving.answering import Answered, Loaded
from affinage.serving.bodies import Refused
from affinage.serving.service import Service

FORMAT = 1

ADDRESS = 4096
"""Longest address of an image, characters."""

TOP, MOST = 5, 1000
"""Labels that are listed of an image: unless another number is asked for, and at most."""

_CORRECTION = 10_000  # Bytes.


async def timed(service: Service, answer: Callable[[], Awaitable[Response]]) -> Response:
    """Return an answer, or why there is none; counted either way."""
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
    counters = service.parts.counters
    counters.requests.labels(str(response.status_code)).inc()
    counters.seconds.observe(time.monotonic() - start)
    return response


async def predicted(service: Service, request: Request) -> Response:
    """Answer `POST /predict`.

    Raises:
        Refused: If it cannot be answered.
    """
    address, top = _asked(request)
    answers = await service.predict(request, address)
    document = {
        "format": FORMAT,
        "model": answers[0].bundle[:12],
        "predictions": [_plain(one, top) for one in answers],
    }
    unread = len(answers) == 1 and not answers[0].prediction.answered
    return JSONResponse(document, status_code=422 if unread else 200)


async def corrected(service: Service, request: Request) -> Response:
    """Answer `POST /correct`.

    Raises:
        Refused: If it is no correction, or cannot be kept.
    """
    given = await _correction(service, request)
    try:
        image, label = given["image"], given["label"]
        texts = [image, label, given.get("name", ""), given.get("said", "")]
    except (KeyError, TypeError, AttributeError):
        raise Refused(400, 'Send JSON: {"image": ID, "label": "what it shows"}') from None
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts) or not label.strip():
        raise Refused(
            400, "A correction has an image and a label, each a text of at most 200 letters."
        )
    if len(image) != 64 or not set(image) <= set("0123456789abcdef"):
        raise Refused(400, "'image' is the id that /predict gave: 64 digits, 0 to f.")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    keep = service.parts.keeper.correct
    try:
        await run_in_threadpool(keep, image, texts[2], texts[3], label.strip(), at)
    except AffinageError as error:
        raise Refused(507, f"It cannot be kept: {error.problem}") from None
    return JSONResponse({"kept": True}, status_code=201)


def described(loaded: Loaded) -> dict[str, Any]:
    """Return what is known of a bundle that is served, as JSON."""
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


def _asked(request: Request) -> tuple[str | None, int]:
    """Return the address of an image, and how many labels are to be listed."""
    query = request.scope["query_string"]
    if not query:
        return None, TOP
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    address, top = given.get("url"), given.get("top", str(TOP))
    if address is not None and len(address) > ADDRESS:
        raise Refused(400, f"An address has at most {ADDRESS} characters.")
    if not (top.isascii() and top.isdigit() and len(top) <= 4 and int(top) <= MOST):
        raise Refused(400, f"top is '{top[:20]}'; it can be 0 to {MOST}.")
    return address, int(top)


async def _correction(service: Service, request: Request) -> Any:
    """Return what was sent, whatever it is."""
    body = bytearray()
    try:
        async with asyncio.timeout(service.parts.limits.seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > _CORRECTION:
                    raise Refused(413, "A correction is a few words.")
        return json.loads(body)
    except TimeoutError:
        raise Refused(408, "The body took too long.") from None
    except (ValueError, RecursionError, ClientDisconnect):
        raise Refused(400, 'Send JSON: {"image": ID, "label": "what it shows"}') from None


def _plain(answered: Answered, top: int) -> dict[str, Any]:
    """Return an answer as JSON, with the most probable labels only: there may be a million."""
    said = answered.prediction
    return {
        "image": answered.image,
        "path": said.path,
        "label": said.label,
        "confidence": said.confidence,
        "probabilities": _most(said.probabilities, top or len(said.probabilities)),
        "labels": said.labels,
        "counts": said.counts,
        "ranges": said.ranges,
        "reason": said.reason,
        "notes": said.notes,
    }


def _most(probabilities: dict[str, float], count: int) -> dict[str, float]:
    return dict(heapq.nsmallest(count, probabilities.items(), key=lambda item: (-item[1], item[0])))
