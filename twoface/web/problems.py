"""Errors as the page gets them: {"error": {"code", "message", facts}}, `message` in English for who has no words."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from twoface.core.errors import InputError, TwoFaceError, Unavailable

GONE = dict.fromkeys(("photo_gone", "fill_gone", "search_gone", "photo_missing", "no_person", "face_gone"), 404)
STATUS = {**GONE, "too_many_pixels": 413, "bad_request": 400, "encoding": 400}
CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "bad_request"}
LIMITS = {"too_large": "bytes", "busy": "too_many"}  # the page's codes of what `twoface.serving.limits` refuses


def problem(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **facts: Any
) -> JSONResponse:
    """code: "" for that of the status."""
    told = {"code": code or CODES.get(status, "failed"), "message": " ".join(message.split()), **facts}
    return JSONResponse({"error": told}, status, headers)


def refuse(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **facts: Any
) -> JSONResponse:
    """What `twoface.serving.limits.Limits` answers with, as a `problem`."""
    return problem(status, LIMITS.get(code, code), message, headers, **facts)


def http_status(error: TwoFaceError) -> int:
    """The HTTP status of a TwoFaceError."""
    if isinstance(error, InputError):
        return STATUS.get(error.code, 422)
    if isinstance(error, Unavailable) or error.code in ("worker_died", "no_memory"):
        return 503
    return 500


def unfit(field: str, found: dict[str, Any]) -> str:
    """What pydantic found wrong with a field."""
    return f"{field}: {found['msg']}"
