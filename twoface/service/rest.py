"""What the REST doors share: deadlines, and the status and words of an error."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import JSONResponse

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.service.engine import MODEL, UnknownModel

Name = Annotated[str, Path(examples=[MODEL])]
Version = Annotated[str, Path(examples=["1"])]
TIMEOUT_HEADER = "x-request-timeout-ms"
INPUT_STATUS = {
    **dict.fromkeys(("too_large", "too_many_pixels"), 413),
    **dict.fromkeys(("encoding", "content_type", "not_a_picture"), 415),
    **dict.fromkeys(("unknown_field", "field_twice"), 422),
    **dict.fromkeys(("damaged", "no_face", "same_photo", "nothing_found", "frame_outside", "not_square"), 422),
    **dict.fromkeys(("mask_empty", "mask_inverted", "mask_outside", "mask_too_large"), 422),
}
OPTIONS = {"--reference-face": "reference_faces", "--reference": "references", "--face": "face", "--mask": "mask"}
WRONG = {  # by pydantic's type of an error
    "missing": "is missing",
    "string_type": "must be text, not a file",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "too_long": "may be there {max_length} times, not {actual_length}",
}
ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        }
    }
}
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, **ERROR}
    for code, text in {
        400: "What was sent cannot be used; the text says what to do",
        401: "An API key is needed",
        404: "No such model or version",
        408: "The body came too slowly",
        413: "The body is too large",
        415: "Content-Encoding is none of gzip, deflate and identity",
        429: "Busy: try again after the seconds of Retry-After",
        500: "The network failed",
        503: "Not ready",
        504: "The deadline has passed",
    }.items()
}


def timeout_of(request: Request) -> float | None:
    """The caller's `X-Request-Timeout-Ms` in seconds, or None. Raises InputError."""
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError("X-Request-Timeout-Ms must be milliseconds, a whole number")
    return int(text) / 1000


def http_status(error: TwoFaceError) -> int:
    """The HTTP status of a TwoFaceError."""
    if isinstance(error, UnknownModel):
        return 404
    if isinstance(error, InputError):
        return INPUT_STATUS.get(error.code, 400)
    if isinstance(error, Unavailable):
        return {"busy": 429, "timeout": 504}.get(error.code, 503)
    return 500


def in_words_of_http(text: str) -> str:
    """A message of the core on one line, with the fields of a form in the place of the command line's options."""
    for option, field in OPTIONS.items():
        text = text.replace(option, field)
    return " ".join(text.split())


def problem(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **facts: Any
) -> JSONResponse:
    """{"error": one line}, as both protocols have it, with our `code` if there is one, and the facts."""
    told = {"error": in_words_of_http(message), **({"code": code} if code else {}), **facts}
    return JSONResponse(told, status, headers)


def unfit(field: str, found: dict[str, Any]) -> str:
    """What pydantic found wrong with a field, without the names of Python's types."""
    if str(found.get("input")).strip().lower().lstrip("+-") == "nan":
        return f"{field} must be a number, not NaN"
    words, context = WRONG.get(found["type"]), found.get("ctx", {})
    return f"{field} {words.format(**context)}" if words else f"{field} cannot be used: {found['msg']}"
