"""One process, one event loop: the HTTP doors under uvicorn and the gRPC door, started and drained together."""

import asyncio
import gc
import logging
import signal

import uvicorn

from twoface.service.app import build_app
from twoface.service.grpc_door import GrpcDoor
from twoface.service.logs import configure_logs
from twoface.service.tracing import start_tracing
from twoface.serving.connections import bind, check_tls, let_in, timed_connection
from twoface.serving.limits import SLOWEST

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A `twoface serve`; `await serve()` runs it until SIGTERM, SIGINT or `should_exit`.

    Both ports are bound at once, 0 means any free one: `port`, `grpc_port` say which. Raises TwoFaceError when one
    is taken, InputError for files that cannot be used.
    """

    def __init__(self, settings):
        start_tracing()
        if settings.tls_cert:
            check_tls(settings.tls_cert, settings.tls_key)
        self._settings = settings
        self._app = build_app(settings)
        self._socket = bind(settings.host, settings.port)
        self.port = self._socket.getsockname()[1]
        self.grpc_port = None
        self._grpc = None
        body_seconds = settings.receive_timeout + settings.largest_body / SLOWEST
        super().__init__(
            uvicorn.Config(
                self._app,
                http=timed_connection(settings.receive_timeout, body_seconds),
                ws="none",
                lifespan="off",  # its context is entered in `serve`, so that what goes wrong there is raised
                log_config=None,
                log_level="warning",  # of uvicorn's own loggers
                access_log=False,
                server_header=False,
                limit_concurrency=4 * settings.concurrency,
                timeout_graceful_shutdown=settings.drain,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )

    async def serve(self):
        """Answer until told to stop, and then until what was accepted is answered."""
        async with self._app.router.lifespan_context(self._app):
            await super().serve(sockets=[self._socket])

    async def startup(self, sockets=None):
        await super().startup(sockets)
        if self._settings.grpc_port is not None:
            self._grpc = GrpcDoor(self._app.state, self._settings)
            self.grpc_port = await self._grpc.start()
        gc.collect()
        gc.freeze()  # what lives as long as the server need not be looked at in every collection
        log.info("serving on %s, HTTP port %s, gRPC port %s", self._settings.host, self.port, self.grpc_port)

    async def shutdown(self, sockets=None):
        self._app.state.engine.leave()
        await let_in(self.servers)
        stopping = [self._grpc.stop(self._settings.drain)] if self._grpc else []
        await asyncio.gather(super().shutdown(sockets), *stopping)
        log.info("drained")


def serve(settings):
    """Run a server in this process until it is told to stop."""
    configure_logs()
    server = Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Before uvicorn takes over, and after: it raises the signal again when all is done, and that is then the end.
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    asyncio.run(server.serve())
