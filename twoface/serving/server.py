"""uvicorn as both servers run it."""

import signal
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from twoface.serving.connections import bind, check_tls, timed_connection
from twoface.serving.limits import MIN_RATE
from twoface.serving.settings import ServerSettings


class Server(uvicorn.Server):
    """Serves an ASGI application; `await serve()` runs it until `should_exit`. The port is bound at once, 0 means any.

    largest_body: bytes. connections: at a time. options: of `uvicorn.Config`, beside those that are the same for all.
    Raises TwoFaceError when the port is taken, InputError for files that cannot be used.
    """

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, largest_body: int, connections: int, **options: Any
    ) -> None:
        if settings.tls_cert and settings.tls_key:
            check_tls(settings.tls_cert, settings.tls_key)
        self._settings = settings
        self._socket = bind(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        body_seconds = settings.receive_timeout + largest_body / MIN_RATE
        super().__init__(
            uvicorn.Config(
                app,
                http=timed_connection(settings.receive_timeout, body_seconds),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=connections,
                timeout_graceful_shutdown=settings.drain,  # type: ignore[arg-type]  # a float, too
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                **options,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets=[self._socket])


def stop_on_signals(server: Server) -> None:
    """SIGTERM and SIGINT stop it before uvicorn takes over, and after: it raises the signal again when all is done."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
