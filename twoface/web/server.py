"""Runs the web application: workers first, then uvicorn, then the browser."""

import asyncio
import logging
import signal
import webbrowser
from functools import partial

import uvicorn

from twoface.serving.connections import bind, check_tls, timed_connection
from twoface.serving.limits import SLOWEST
from twoface.serving.pool import Pool
from twoface.web import tasks
from twoface.web.app import build_app

PATIENCE = 2.0  # seconds in which a backend says that it is ready

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A `twoface web`; `await serve()` runs it until SIGTERM, SIGINT or `should_exit`.

    The port is bound at once; `url` says where. setup: what the workers set up, by default the engine that the
    settings name. Raises InputError for settings that cannot be used, TwoFaceError when the port is taken.
    """

    def __init__(self, settings, setup=None):
        if settings.tls_cert:
            check_tls(settings.tls_cert, settings.tls_key)
        self._settings = settings
        self._pool = Pool(setup or studio(settings), settings.workers, settings.queue, settings.worker_memory)
        self._ready = readiness(settings, self._pool)
        app = build_app(settings, self._pool, self._ready)
        self._socket = bind(settings.host, settings.port)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http{'s' if settings.tls_cert else ''}://{host}:{self._socket.getsockname()[1]}/"
        super().__init__(
            uvicorn.Config(
                app,
                http=timed_connection(
                    settings.receive_timeout, settings.receive_timeout + settings.photo_bytes / SLOWEST
                ),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=list(settings.proxies),
                limit_concurrency=16 * settings.concurrency,
                timeout_graceful_shutdown=settings.drain,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )

    async def serve(self, started=lambda url: None):
        """Answer until told to stop. started: called with the URL when it answers.

        Raises what the setup raises, TwoFaceError for an index that cannot be opened, and for a backend that does not
        know our key, or is none.
        """
        await self._pool.start()
        try:
            if self._settings.indexes:
                await self._pool.call(("open_indexes", {}), self._settings.timeout)
            if not await self._ready():
                log.warning("%s does not answer yet: nothing can be filled until it does", self._settings.backend)
            running = asyncio.create_task(super().serve(sockets=[self._socket]))
            while not (self.started or running.done()):
                await asyncio.sleep(0.01)
            if self.started:
                await asyncio.to_thread(started, self.url)
            await running
        finally:
            await self._pool.close(self._settings.drain)


def serve(settings, open_browser=False):
    """Run a server in this process until it is told to stop, and say where it is."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(message)s")
    server = Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when all is done; that is then the end

    def started(url):
        print(f"Two-Face is at {url} (Ctrl-C stops it)", flush=True)
        if open_browser:
            webbrowser.open(url)

    asyncio.run(server.serve(started))


def studio(settings):
    """What the workers set up, ready to be sent to them."""
    load = partial(tasks.load_inpainter, settings.backend, _key(settings))
    return partial(tasks.open_studio, load, settings.pixels, settings.indexes)


def readiness(settings, pool):
    """-> async () -> whether a fill would be answered now. Raises TwoFaceError where a backend never will."""
    if settings.backend is None:

        async def ready():
            return pool.ready

        return ready

    from twoface.client import connect  # the embedded engine does without its packages

    backend = connect(settings.backend, _key(settings), PATIENCE)

    async def backend_ready():
        return pool.ready and await asyncio.to_thread(backend.ready)

    return backend_ready


def _key(settings):
    if settings.backend_key is None:
        return None
    from twoface.client import read_key

    return read_key(settings.backend_key)
