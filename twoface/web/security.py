"""The guard before every request: hosts, origins, sessions; and the headers behind every answer.

Without a password only this machine's names are answered to (a foreign name that resolves to 127.0.0.1 is how web
pages reach into local servers: DNS rebinding), and the API only to our own page.
"""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twoface.serving.settings import is_loopback
from twoface.web.problems import problem
from twoface.web.sessions import Sessions

MARK = "x-two-face"  # a header that no form and no foreign page can send without asking first
POLICY = {
    "default-src": "'self'",
    "img-src": "'self' blob: data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware. sessions: as of `twoface.web.sessions`; behind it `request.state.session` says whose it is."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)
        refusal = self._refuse_foreign(request)
        cookie: str | None = None
        if not refusal:
            refusal, cookie = self._admit(request)
        await (refusal or self._app)(scope, receive, _with_headers(send, request, cookie))

    def _refuse_foreign(self, request: Request) -> Response | None:
        """The refusal of a request that our own page did not make, or None."""
        name, _ = _host(request)
        if not name or not (self._sessions.locked or is_loopback(name)):
            return problem(403, "forbidden", "this server answers only to the name 127.0.0.1 or localhost")
        changes = request.method not in ("GET", "HEAD")
        if not changes and not _private(request.url.path):
            return None
        origin = request.headers.get("origin")
        ours = request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if not ours or (origin is not None and origin.partition("://")[2] != request.headers["host"]):
            return problem(403, "forbidden", "this is only for the page that this server gave out")
        if changes and request.headers.get(MARK) != "1":
            return problem(403, "forbidden", f"a request that changes something needs the header {MARK}: 1")
        return None

    def _admit(self, request: Request) -> tuple[Response | None, str | None]:
        """-> refusal or None, the value of a new cookie or None."""
        cookie = request.cookies.get(_cookie_name(request), "")
        if self._sessions.known(cookie):
            request.state.session = cookie
            return None, None
        if not self._sessions.locked:
            session = self._sessions.open()
            request.state.session = session
            return None, session
        if request.url.path == "/":
            return RedirectResponse("login", 303), None  # relative: a proxy may have us under a prefix
        if _private(request.url.path):
            return problem(401, "unauthorized", "log in first"), None
        return None, None


def cookie_header(request: Request, session: str) -> str:
    name, _ = _host(request)
    secure = "" if request.url.scheme == "http" and is_loopback(name) else "; Secure"
    return f"{_cookie_name(request)}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _cookie_name(request: Request) -> str:
    """Browsers keep cookies by host, not by port: two servers of one machine must not take each other's."""
    _, port = _host(request)
    return f"twoface-{port}" if port else "twoface"


def _private(path: str) -> bool:
    return path.startswith(("/api/", "/samples/")) or path == "/logout"


def _host(request: Request) -> tuple[str, int | None]:
    """The name and the port that the browser sees, ("", None) where its Host header cannot be read."""
    try:
        parts = urlsplit(f"//{request.headers.get('host', '')}")
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _with_headers(send: Send, request: Request, cookie: str | None) -> Send:
    """An ASGI send that adds `HEADERS`, cache-control and the new cookie."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("cache-control", "no-store" if _private(request.url.path) else "no-cache")
            if cookie:
                headers.append("set-cookie", cookie_header(request, cookie))
        await send(message)

    return send_with_headers
