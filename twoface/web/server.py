"""Runs the web application: workers first, then uvicorn, then the browser."""

import asyncio
import signal
import webbrowser
from functools import partial

import uvicorn

from twoface.pool import Pool
from twoface.service.connections import bind, timed_connection
from twoface.service.limits import SLOWEST
from twoface.web import tasks
from twoface.web.app import build_app


def serve(settings, open_browser=False):
    """Run the server in this process until SIGTERM or Ctrl-C. Raises TwoFaceError when it cannot start."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when all is done; that is then the end
    asyncio.run(_serve(settings, open_browser))


async def _serve(settings, open_browser):
    listener = bind(settings.host, settings.port)
    pool = Pool(studio(settings), settings.workers, settings.queue, settings.memory)
    await pool.start()
    try:
        server = uvicorn.Server(_config(settings, build_app(settings, pool, readiness(settings, pool))))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not (server.started or running.done()):
            await asyncio.sleep(0.02)
        url = _url(settings, listener.getsockname()[1])
        print(f"Two-Face is at {url} (Ctrl-C stops it)", flush=True)
        if open_browser:
            await asyncio.to_thread(webbrowser.open, url)
        await running
    finally:
        await pool.close(settings.drain)


def studio(settings):
    """What the workers set up, ready to be sent to them."""
    key = settings.backend_key and settings.backend_key.read_text().strip()
    return partial(tasks.open_studio, partial(tasks.load_inpainter, settings.backend, key), settings.pixels)


def readiness(settings, pool):
    """-> async () -> whether a fill would be answered now."""

    async def ready():
        return pool.ready

    return ready


def _config(settings, app):
    return uvicorn.Config(
        app,
        http=timed_connection(settings.receive_timeout, settings.receive_timeout + settings.photo_bytes / SLOWEST),
        ws="none",
        lifespan="off",
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=16 * settings.concurrency,
        timeout_graceful_shutdown=settings.drain,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def _url(settings, port):
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http{'s' if settings.tls_cert else ''}://{host}:{port}/"
