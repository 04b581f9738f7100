"""What the gRPC doors share: keys, errors as statuses, counting, deadlines."""

import asyncio
import functools
import time

import grpc

from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.service.engine import UnknownModel
from twoface.service.logs import begin_request
from twoface.service.observe import record
from twoface.service.tracing import begin_span, end_span
from twoface.serving.auth import NO_KEY, key_of


def answered(reply, needs_key=True):
    """Decorates a servicer's method: its key checked, its errors turned into statuses, counted and logged.

    reply: the class of the method's messages, an empty one of which goes with an error. The servicer has `keys`,
    `metrics`, `door` and `closing`.
    """

    def decorate(method):
        @functools.wraps(method)
        async def answer(self, request, grpc_context):
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
                    answer = await method(self, request, grpc_context)
                code = grpc.StatusCode.OK
                return answer
            except TwoFaceError as error:
                if getattr(error, "retry_after", None) is not None:
                    grpc_context.set_trailing_metadata([("retry-after", str(error.retry_after))])
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


def grpc_status(error):
    """The gRPC status of a TwoFaceError."""
    if isinstance(error, UnknownModel):
        return grpc.StatusCode.NOT_FOUND
    if isinstance(error, InputError):
        return grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, Unavailable):
        named = {"busy": grpc.StatusCode.RESOURCE_EXHAUSTED, "timeout": grpc.StatusCode.DEADLINE_EXCEEDED}
        return named.get(error.code, grpc.StatusCode.UNAVAILABLE)
    return grpc.StatusCode.INTERNAL


def call_seconds(grpc_context):
    """How long the call's answer is of use, in seconds, or None."""
    return getattr(grpc_context, "time_remaining", lambda: None)()  # under Ray its proxy keeps the deadline


def _fail(grpc_context, code, text):
    grpc_context.set_code(code)
    grpc_context.set_details(text)
    return code
