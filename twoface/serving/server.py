"""uvicorn as both servers run it."""

import signal

import uvicorn

from twoface.serving.connections import bind, check_tls, timed_connection
from twoface.serving.limits import MIN_RATE


class Server(uvicorn.Server):
    """Serves an ASGI application; `await serve()` runs it until `should_exit`. The port is bound at once, 0 means any.

    settings: what has host, port, tls_cert and tls_key (files, or None), receive_timeout and drain (seconds).
    largest_body: bytes. connections: at a time. options: of `uvicorn.Config`, beside those that are the same for all.
    Raises TwoFaceError when the port is taken, InputError for files that cannot be used.
    """

    def __init__(self, app, settings, largest_body, connections, **options):
        if settings.tls_cert:
            check_tls(settings.tls_cert, settings.tls_key)
        self._settings = settings
        self._socket = bind(settings.host, settings.port)
        self.port = self._socket.getsockname()[1]
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
                timeout_graceful_shutdown=settings.drain,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                **options,
            )
        )

    async def serve(self):
        await super().serve(sockets=[self._socket])


def stop_on_signals(server):
    """SIGTERM and SIGINT stop it before uvicorn takes over, and after: it raises the signal again when all is done."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
