"""HEAD and OPTIONS, which probes and proxies use, on every path that there is. ASGI middleware."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Methods:
    """HEAD is answered as GET without the body, OPTIONS with what the path takes. routes: the application's."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")  # None of what is not HTTP
        if method == "OPTIONS" and (allowed := self._allowed(scope)):
            return await Response(status_code=204, headers={"allow": ", ".join(allowed)})(scope, receive, send)
        if method == "HEAD" and "GET" in self._allowed(scope):
            return await self._app({**scope, "method": "GET"}, receive, _headers_only(send))
        await self._app(scope, receive, send)

    def _allowed(self, scope: Scope) -> list[str]:
        """The methods of a path, sorted; [] for one that is not there."""
        taken = [method for method in ("GET", "POST") if self._takes({**scope, "method": method})]
        return sorted([*taken, "OPTIONS", *(["HEAD"] if "GET" in taken else [])]) if taken else []

    def _takes(self, scope: Scope) -> bool:
        routes = [route for route in self._routes if scope["method"] == "GET" or not isinstance(route, Mount)]
        return any(route.matches(scope)[0] == Match.FULL for route in routes)


def _headers_only(send: Send) -> Send:
    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body
