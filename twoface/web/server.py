"""Runs the web application: workers first, then uvicorn, then the browser."""

import asyncio
import logging
import webbrowser
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twoface.serving import server as serving
from twoface.serving.pool import Pool, Setup
from twoface.web import tasks
from twoface.web.app import build_app
from twoface.web.settings import Settings

READY_TIMEOUT = 2.0  # seconds in which a backend says that it is ready

log = logging.getLogger(__name__)


class Server(serving.Server):
    """A `twoface web`; `await serve()` runs it until SIGTERM, SIGINT or `should_exit`.

    The port is bound at once; `url` says where. setup: what the workers set up, by default the engine that the
    settings name. Raises InputError for settings that cannot be used, TwoFaceError when the port is taken.
    """

    _settings: Settings

    def __init__(self, settings: Settings, setup: Setup | None = None) -> None:
        self._pool = Pool(setup or worker_setup(settings), settings.workers, settings.queue, settings.worker_memory)
        self._ready = readiness(settings, self._pool)
        app = build_app(settings, self._pool, self._ready)
        proxies: dict[str, Any] = {"proxy_headers": True, "forwarded_allow_ips": list(settings.proxies)}
        super().__init__(app, settings, settings.photo_bytes, 16 * settings.concurrency, **proxies)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http{'s' if settings.tls_cert else ''}://{host}:{self.port}/"

    async def serve(  # type: ignore[override]
        self, started: Callable[[str], None] = lambda url: None
    ) -> None:
        """Answer until told to stop. started: called with the URL when it answers.

        Raises what the setup raises, TwoFaceError for an index that cannot be opened, and for a backend that does not
        know our key, or is none.
        """
        await self._pool.start()
        try:
            if self._settings.indexes:
                await self._pool.call(("open_indexes", {}), self._settings.timeout)
            if self.should_exit:  # told so while the workers set themselves up
                return
            if not await self._ready():
                log.warning("%s does not answer yet: nothing can be filled until it does", self._settings.backend)
            running = asyncio.create_task(super().serve())
            while not (self.started or running.done()):
                await asyncio.sleep(0.01)
            if self.started:
                await asyncio.to_thread(started, self.url)
            await running
        finally:
            await self._pool.close(self._settings.drain)


def serve(settings: Settings, open_browser: bool = False) -> None:
    """Run a server in this process until it is told to stop, and say where it is."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(message)s")
    server = Server(settings)
    serving.stop_on_signals(server)

    def started(url: str) -> None:
        print(f"Two-Face is at {url} (Ctrl-C stops it)", flush=True)
        if open_browser:
            webbrowser.open(url)

    asyncio.run(server.serve(started))


def worker_setup(settings: Settings) -> Setup:
    """What the workers set up, ready to be sent to them."""
    load = partial(tasks.load_inpainter, settings.backend, _key(settings))
    return partial(tasks.setup_worker, load, settings.pixels, settings.indexes)


def readiness(settings: Settings, pool: Pool) -> Callable[[], Awaitable[bool]]:
    """-> async () -> whether a fill would be answered now. Raises TwoFaceError where a backend never will."""
    if settings.backend is None:

        async def ready() -> bool:
            return pool.ready

        return ready

    from twoface.client import connect  # the embedded engine does without its packages

    backend = connect(settings.backend, _key(settings), READY_TIMEOUT)

    async def backend_ready() -> bool:
        return pool.ready and await asyncio.to_thread(backend.ready)

    return backend_ready


def _key(settings: Settings) -> str | None:
    if settings.backend_key is None:
        return None
    from twoface.client import read_key

    return read_key(settings.backend_key)
