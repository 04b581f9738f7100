"""The front server's application: the page, its API, and what stands before them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from twoface.serving.auth import Keys
from twoface.serving.limits import Limits
from twoface.serving.pool import Pool
from twoface.serving.problems import answer_errors
from twoface.serving.settings import is_loopback
from twoface.web import api
from twoface.web.problems import http_status, problem, refuse, unfit
from twoface.web.security import Guard, cookie_header
from twoface.web.sessions import Sessions
from twoface.web.settings import Settings

HERE = Path(__file__).parent


class Login(BaseModel):
    password: str


def build_app(settings: Settings, pool: Pool, ready: Callable[[], Awaitable[bool]]) -> ASGIApp:
    """-> ASGI application. pool: started, of `tasks.setup_worker`; ready: async () -> whether a fill would be answered.

    Raises InputError for a file of passwords that cannot be used.
    """
    sessions = Sessions(Keys(settings.auth, "passwords") if settings.auth else None)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(api.router(pool, settings, ready))
    if sessions.locked:
        _add_login(app, sessions, pool, settings.timeout)
    app.mount("/samples", StaticFiles(directory=HERE / "samples"))
    app.mount("/", StaticFiles(directory=HERE / "static", html=True))
    answer_errors(app, problem, http_status, 400, unfit, allow=False)
    limited = Limits(
        app,
        body_bytes=lambda path: settings.photo_bytes if path == "/api/photos" else settings.request_bytes,
        seconds=settings.receive_timeout,
        concurrency=settings.concurrency,
        held_bytes=settings.concurrency * settings.photo_bytes // 4,
        refuse=refuse,
    )
    return Guard(limited, sessions)


def _add_login(app: FastAPI, sessions: Sessions, pool: Pool, timeout: float) -> None:
    @app.get("/login")
    async def page() -> FileResponse:
        return FileResponse(HERE / "static" / "login.html")

    @app.post("/login")
    async def log_in(request: Request, login: Login) -> Response:
        """A cookie for a password. Over plain HTTP everyone on the way would read both."""
        origin = request.headers.get("origin", "")
        if origin.startswith("http:") and not is_loopback(request.url.hostname):
            return problem(403, "https_needed", "log in over https: use --tls-cert and --tls-key, or a proxy with TLS")
        address = request.client.host if request.client else ""
        if pause := sessions.pause(address):
            return problem(429, "too_many", "too many wrong passwords", {"retry-after": f"{pause:.0f}"})
        session = sessions.log_in(login.password)
        if session is None:
            sessions.failed(address)
            return problem(401, "unauthorized", "this is not the password")
        return Response(status_code=204, headers={"set-cookie": cookie_header(request, session)})

    @app.post("/logout")
    async def log_out(request: Request) -> Response:
        """End the session, its photos are forgotten."""
        session = request.state.session
        await pool.call(("forget_session", {"session": session}), timeout, key=session)
        sessions.log_out(session)
        return Response(status_code=204)
