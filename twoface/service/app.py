"""The HTTP application: doors, limits, keys, metrics around one engine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import FastAPI, Security
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, Response

import twoface
from twoface.service import oip_rest, photos, references, tensors, tfserving
from twoface.service.engine import Engine
from twoface.service.examples import example
from twoface.service.methods import Methods
from twoface.service.metrics import Metrics
from twoface.service.observe import Observe
from twoface.service.rest import http_status, problem, unfit
from twoface.service.settings import Settings
from twoface.serving.auth import Keys, RequireKey
from twoface.serving.limits import Limits
from twoface.serving.pool import Pool
from twoface.serving.problems import answer_errors

FORMS = (*photos.PATHS, *references.PATHS)
OPEN_PATHS = ("/v2/health/", "/docs", "/redoc", "/openapi.json", "/static-offline-docs/")
NOWHERE = "nothing answers at this path: /docs lists those that do"
ABOUT = """Fills a missing or covered part of a face photo, guided by another photo of the same person.

Tensors go in as TensorFlow Serving takes them (`/v1/models/...`) or by the Open Inference Protocol (`/v2/...`);
`docs/serving.md` tells all of it. Where the server was started with `--api-key`, send a key as
`Authorization: Bearer KEY`."""


def build_app(settings: Settings) -> FastAPI:
    """-> FastAPI. Its engine starts and ends with its lifespan; `app.state` holds `engine`, `metrics` and `keys`."""
    metrics = Metrics()
    engine = Engine(settings, metrics)
    workers = photos.PhotoWorkers(settings) if settings.photo_workers else None
    searcher = references.make_pool(settings) if settings.index else None

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with engine, workers or contextlib.nullcontext(), _running(searcher, settings.drain, engine):
            yield

    known = {"title": "Two-Face", "version": twoface.__version__, "description": ABOUT}
    locks = [Security(HTTPBearer(auto_error=False))] if settings.api_keys else []  # the page's button "Authorize"
    # Links are relative, so that all works behind a proxy that has us under a prefix.
    app = FastAPIOffline(None, None, **known, lifespan=life, dependencies=locks, servers=[{"url": "."}])
    app.state.engine, app.state.metrics = engine, metrics
    app.state.keys = Keys(settings.api_keys) if settings.api_keys else None
    app.include_router(tfserving.router(engine, settings))
    app.include_router(oip_rest.router(engine, settings))
    if workers:
        engine.switched.append(workers.follow)
        app.include_router(photos.router(workers, settings))
    if searcher:
        app.include_router(references.router(searcher, settings))
    _add_pages(app, metrics)
    answer_errors(app, problem, http_status, 422, unfit, nowhere=NOWHERE)
    _add_middleware(app, settings, metrics)
    return app


def largest_body(settings: Settings) -> int:
    """Bytes of the largest body of any door."""
    return max(tensors.json_bytes(settings.rows), settings.photo_bytes)


@contextlib.asynccontextmanager
async def _running(pool: Pool | None, drain: float, engine: Engine) -> AsyncIterator[None]:
    """Start the Pool that searches, if there is one, and close it at the end; no index, and the engine is not ready."""
    if not pool:
        yield
        return
    await pool.start()
    watch = references.Watch(pool)
    engine.needs.append(lambda: watch.reachable)
    watching = asyncio.ensure_future(watch.run())
    try:
        yield
    finally:
        watching.cancel()
        await pool.close(drain)


def _add_pages(app: FastAPI, metrics: Metrics) -> None:
    static = "static-offline-docs"
    about: dict[str, Any] = {"openapi_url": "openapi.json", "title": app.title}

    @app.get("/docs", include_in_schema=False)
    async def swagger() -> HTMLResponse:
        files: dict[str, Any] = {
            "swagger_js_url": f"{static}/swagger-ui-bundle.js",
            "swagger_css_url": f"{static}/swagger-ui.css",
        }
        return get_swagger_ui_html(**about, **files, swagger_favicon_url=f"{static}/favicon.png")

    @app.get("/redoc", include_in_schema=False)
    async def redoc() -> HTMLResponse:
        files = {"redoc_js_url": f"{static}/redoc.standalone.js", "redoc_favicon_url": f"{static}/favicon.png"}
        return get_redoc_html(**about, **files, with_google_fonts=False)

    @app.get("/metrics", tags=["operation"], summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/examples/{name}.json", tags=["operation"], summary="A body to try: tfserving or oip")
    async def body(name: Literal["tfserving", "oip"]) -> Response:
        return Response(example(name), media_type="application/json")


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """The last added is the first to see a request."""

    def received(seconds: float) -> None:
        metrics.stage_seconds.labels("receive").observe(seconds)

    app.add_middleware(Methods, routes=app.routes)
    app.add_middleware(
        Limits,
        body_bytes=lambda path: settings.photo_bytes if path in FORMS else tensors.json_bytes(settings.rows),
        seconds=settings.receive_timeout,
        concurrency=settings.concurrency,
        held_bytes=4 * largest_body(settings),
        received=received,
        refuse=problem,
    )
    if app.state.keys:
        app.add_middleware(RequireKey, keys=app.state.keys, open_paths=OPEN_PATHS)
    if settings.cors:
        allowed: dict[str, Any] = {"allow_methods": ["GET", "POST"], "allow_headers": ["*"], "expose_headers": ["*"]}
        app.add_middleware(CORSMiddleware, allow_origins=list(settings.cors), **allowed)
    app.add_middleware(Observe, metrics=metrics)
