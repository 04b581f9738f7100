"""Every error of an application answered by one function of its server."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from twoface.core.errors import TwoFaceError
from twoface.serving.requests import ClientGone


class Problem(Protocol):
    """Makes the answer that tells an error. code: "" where there is none; facts: as of `TwoFaceError`."""

    def __call__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **facts: Any
    ) -> Response: ...


def answer_errors(
    app: FastAPI,
    problem: Problem,
    status: Callable[[TwoFaceError], int],
    invalid: int,
    in_words: Callable[[str, dict[str, Any]], str],
    allow: bool = True,
    nowhere: str = "Not Found",
) -> None:
    """Make every error of `app` a `problem`.

    invalid: the status for what does not fit a route's types. in_words: (field, what pydantic found) -> its message.
    allow: a 405 tells the methods that there are; False where files are mounted at /, which answer for every path.
    nowhere: what is said of a path that no route has.
    """

    @app.exception_handler(TwoFaceError)
    async def ours(request: Request, error: TwoFaceError) -> Response:
        pause = getattr(error, "retry_after", None)
        headers = None if pause is None else {"retry-after": f"{pause:.0f}"}
        return problem(status(error), error.code, str(error), headers, **error.facts)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        field = ".".join(str(part) for part in found["loc"][1:])
        return problem(invalid, "", in_words(field, found))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        told = nowhere if error.status_code == 404 else str(error.detail)
        return problem(error.status_code, "", told, error.headers if allow else None)

    @app.exception_handler(ClientGone)
    async def gone(request: Request, error: ClientGone) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return problem(500, "", "this is a fault of the server: its log has the details")
