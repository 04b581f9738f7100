"""How the replicas of one machine are told to take nothing more, and tell that they are done: by files in a folder.

Ray's own way takes the route away first, and answers 404 until its doors close: to clients that means "never". And it
ends its proxies with whoever is connected to them; ours close their doors first.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from twoface.core.errors import Unavailable
from twoface.serving.connections import FIRST_REQUEST, accept_pending

CLOSED, IDLE = "closed", "idle-"
STOPPING = "the server is stopping: ask again in a second, or another one"


class Closing:
    """One process' view. folder: shared with who closes, or None where nobody will."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder, self._active = None if folder is None else Path(folder), 0

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._folder is not None and (self._folder / CLOSED).exists()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Around each call. Raises Unavailable once it is closed."""
        if self.closed:
            raise Unavailable(STOPPING, code="stopping", retry_after=1)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def tell(self) -> None:
        """Tell who closes, if anybody does, that nothing is in work here any more, when that is so."""
        if self._folder is not None and self.closed and not self._active:
            (self._folder / f"{IDLE}{os.getpid()}").touch()


class Closable:
    """ASGI middleware: 503 once it is closed. closing: `Closing`."""

    def __init__(self, app: ASGIApp, *, closing: Closing) -> None:
        self._app, self._closing = app, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._closing.call())
            except Unavailable as error:
                said = {"error": str(error), "code": error.code}
                headers = {"retry-after": str(error.retry_after), "connection": "close"}
                return await JSONResponse(said, 503, headers)(scope, receive, send)
            await self._app(scope, receive, send)


def close(folder: str | Path, replicas: int, seconds: float) -> None:
    """Close them and wait until so many processes have told that they are done, or the seconds are over."""
    (Path(folder) / CLOSED).touch()
    end = time.monotonic() + seconds
    while len(list(Path(folder).glob(f"{IDLE}*"))) < replicas and time.monotonic() < end:
        time.sleep(0.05)


def leave(proxy: Any, seconds: float) -> None:
    """In the process of Ray's proxy, its actor: listen no more, and answer in so many seconds what was accepted."""
    started, grpc = proxy._start_http_server_task, proxy._start_grpc_server_task
    asyncio.run_coroutine_threadsafe(_leave_http(started.result()[1], seconds), started.get_loop())
    if grpc is not None:
        asyncio.run_coroutine_threadsafe(grpc.result()[1].stop(seconds), grpc.get_loop())


async def _leave_http(server: uvicorn.Server, seconds: float) -> None:
    """server: uvicorn's, which at its end drops whoever has connected and not asked yet: they have a moment."""
    await accept_pending(server.servers)
    for listening in server.servers:
        listening.close()
    await asyncio.sleep(FIRST_REQUEST)
    server.config.timeout_graceful_shutdown = seconds  # type: ignore[assignment]  # a float, too
    server.should_exit = True


def has_left(proxy: Any) -> bool:
    """After `leave`: is all answered?"""
    tasks = (proxy._start_http_server_task, proxy._start_grpc_server_task)
    return all(task.result()[0].done() for task in tasks if task is not None)
