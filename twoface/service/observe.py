"""Every HTTP request gets an id, a line in the log and its place in the metrics. ASGI middleware."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twoface.service.logs import begin_request
from twoface.service.metrics import Metrics

DOORS = {
    "/v1/models/": "tfserving",
    "/v2": "oip_rest",
    "/v1/fill": "photos",
    "/v1/faces": "photos",
    "/v1/references": "references",
}

log = logging.getLogger("twoface.requests")


class Observe:
    """Takes `X-Request-ID`, or makes one, and sends it back; counts and logs when the answer is out."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        name = begin_request(given.decode("latin-1")).encode()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), (b"x-request-id", name)]}
            await send(message)

        start, outcome = time.perf_counter(), 500
        try:
            await self._app(scope, receive, send_with_id)
            outcome = status or 499  # nobody was there to be answered
        finally:
            fields = {"method": scope["method"], "path": scope["path"][:200]}
            record(self._metrics, door_of(scope["path"]), outcome, time.perf_counter() - start, fields)


def record(metrics: Metrics, door: str, code: int | str, seconds: float, fields: dict[str, Any]) -> None:
    """Count a request that is over and write its line; fields: what else the line says."""
    metrics.requests.labels(door, str(code)).inc()
    metrics.request_seconds.labels(door).observe(seconds)
    line = {"door": door, **fields, "status": code, "ms": round(seconds * 1000, 2)}
    log.info("request", extra={"fields": line})


def door_of(path: str) -> str:
    """The name of the door that a path belongs to."""
    return next((door for start, door in DOORS.items() if path.startswith(start)), "other")
