"""Errors as the page gets them: {"error": {"code", "message", numbers}}, `message` in English for who has no words."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.serving.requests import ClientGone

GONE = dict.fromkeys(("photo_gone", "fill_gone", "search_gone", "photo_missing", "no_person", "face_gone"), 404)
STATUS = {**GONE, "too_many_pixels": 413, "bad_request": 400, "encoding": 400}
HTTP_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found"}


def problem(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **numbers: Any
) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": " ".join(message.split()), **numbers}}, status, headers)


def answer_problems(app: FastAPI) -> None:
    """Make every error of `app` a `problem`."""

    @app.exception_handler(TwoFaceError)
    async def ours(request: Request, error: TwoFaceError) -> Response:
        pause = getattr(error, "retry_after", None)
        headers = None if pause is None else {"retry-after": f"{pause:.0f}"}
        return problem(_status(error), error.code or "failed", str(error), headers, **error.facts)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        place = ".".join(str(part) for part in found["loc"][1:])
        return problem(400, "bad_request", f"{place}: {found['msg']}")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, HTTP_CODES.get(error.status_code, "bad_request"), str(error.detail))

    @app.exception_handler(ClientGone)
    async def gone(request: Request, error: ClientGone) -> Response:
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return problem(500, "failed", "this is a fault of the server: its log has the details")


def refuse(status: int, message: str, code: str, headers: Mapping[str, str] | None, **numbers: float) -> JSONResponse:
    """What `twoface.serving.limits.Limits` answers with, as a `problem`."""
    return problem(status, {"too_large": "bytes", "busy": "too_many"}.get(code, code), message, headers, **numbers)


def _status(error: TwoFaceError) -> int:
    if isinstance(error, InputError):
        return STATUS.get(error.code, 422)
    if isinstance(error, Unavailable) or error.code in ("worker_died", "no_memory"):
        return 503
    return 500
