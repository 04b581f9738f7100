"""What the gRPC doors share: keys, errors as statuses, counting, deadlines."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.service.engine import UnknownModel
from twoface.service.logs import begin_request
from twoface.service.observe import record
from twoface.service.tracing import begin_span, end_span
from twoface.serving.auth import NO_KEY, key_of

Method = Callable[[Any, Any, Any], Awaitable[Any]]  # (servicer, message, context of gRPC) -> message


def answered(reply: type[Any], needs_key: bool = True) -> Callable[[Method], Method]:
    """Decorates a servicer's method: its key checked, its errors turned into statuses, counted and logged.

    reply: the class of the method's messages, an empty one of which goes with an error. The servicer has `keys`,
    `metrics`, `door` and `closing`.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        async def answer(self: Any, request: Any, grpc_context: Any) -> Any:
            metadata = dict(grpc_context.invocation_metadata() or ())
            begin_request(metadata.get("x-request-id"))
            start, code = time.perf_counter(), grpc.StatusCode.INTERNAL
            span = begin_span(f"{self.door}/{method.__name__}", metadata)
            try:
                if request is None:
                    raise InputError("the message cannot be read: it is cut short, or not of this protocol")
                if needs_key and self.keys and not self.keys.valid(key_of(metadata)):
                    code = _fail(grpc_context, grpc.StatusCode.UNAUTHENTICATED, NO_KEY)
                    return reply()
                with self.closing.call():
                    message = await method(self, request, grpc_context)
                code = grpc.StatusCode.OK
                return message
            except TwoFaceError as error:
                pause = getattr(error, "retry_after", None)
                if pause is not None:
                    grpc_context.set_trailing_metadata([("retry-after", str(pause))])
                code = _fail(grpc_context, grpc_status(error), " ".join(str(error).split()))
                return reply()
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                end_span(span, code.name)
                record(self.metrics, self.door, code.name, time.perf_counter() - start, {"method": method.__name__})

        return answer

    return decorate


def grpc_status(error: TwoFaceError) -> grpc.StatusCode:
    """The gRPC status of a TwoFaceError."""
    if isinstance(error, UnknownModel):
        return grpc.StatusCode.NOT_FOUND
    if isinstance(error, InputError):
        return grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, Unavailable):
        named = {"busy": grpc.StatusCode.RESOURCE_EXHAUSTED, "timeout": grpc.StatusCode.DEADLINE_EXCEEDED}
        return named.get(error.code, grpc.StatusCode.UNAVAILABLE)
    return grpc.StatusCode.INTERNAL


def call_seconds(grpc_context: Any) -> float | None:
    """How long the call's answer is of use, in seconds, or None."""
    seconds: float | None = getattr(
        grpc_context, "time_remaining", lambda: None
    )()  # under Ray its proxy keeps the deadline
    return seconds


def _fail(grpc_context: Any, code: grpc.StatusCode, text: str) -> grpc.StatusCode:
    grpc_context.set_code(code)
    grpc_context.set_details(text)
    return code
