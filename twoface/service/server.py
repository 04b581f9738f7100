"""One process, one event loop: the HTTP doors under uvicorn and the gRPC door, started and drained together."""

import asyncio
import gc
import logging
import socket

from twoface.service.app import build_app, largest_body
from twoface.service.grpc_door import GrpcDoor
from twoface.service.logs import configure_logs
from twoface.service.settings import Settings
from twoface.service.tracing import start_tracing
from twoface.serving import server as serving
from twoface.serving.connections import accept_pending

log = logging.getLogger(__name__)


class Server(serving.Server):
    """A `twoface serve`; `await serve()` runs it until SIGTERM, SIGINT or `should_exit`.

    Both ports are bound at once, 0 means any free one: `port`, `grpc_port` say which. Raises TwoFaceError when one
    is taken, InputError for files that cannot be used.
    """

    _settings: Settings

    def __init__(self, settings: Settings) -> None:
        start_tracing()
        self._app = build_app(settings)  # its lifespan is entered in `serve`, so that what goes wrong there is raised
        self.grpc_port: int | None = None
        self._grpc: GrpcDoor | None = None
        super().__init__(self._app, settings, largest_body(settings), 4 * settings.concurrency, log_level="warning")

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until told to stop, and then until what was accepted is answered."""
        async with self._app.router.lifespan_context(self._app):
            await super().serve()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._settings.grpc_port is not None:
            self._grpc = GrpcDoor(self._app.state, self._settings)
            self.grpc_port = await self._grpc.start()
        gc.collect()
        gc.freeze()  # what lives as long as the server need not be looked at in every collection
        log.info("serving on %s, HTTP port %s, gRPC port %s", self._settings.host, self.port, self.grpc_port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.engine.leave()
        await accept_pending(self.servers)
        stopping = [self._grpc.stop(self._settings.drain)] if self._grpc else []
        await asyncio.gather(super().shutdown(sockets), *stopping)
        log.info("drained")


def serve(settings: Settings) -> None:
    """Run a server in this process until it is told to stop."""
    configure_logs()
    server = Server(settings)
    serving.stop_on_signals(server)
    asyncio.run(server.serve())
