"""A request's body; work that is cancelled when the client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from twoface.core.errors import InputError

Result = TypeVar("Result")


class ClientGone(Exception):
    """The client has disconnected: no answer is needed."""


async def read_body(request: Request) -> bytes:
    """The whole body -> bytes. Raises InputError for one in an encoding that `Limits` did not unpack."""
    check_encoding(request)
    return await request.body()


def check_encoding(request: Request) -> None:
    """Raise InputError for a body in an encoding that `Limits` did not unpack."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InputError("send the body in gzip or deflate, or without Content-Encoding", code="encoding")


async def until_disconnect(request: Request, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result; cancelled when the client disconnects. Call it after reading the body."""
    work, gone = asyncio.ensure_future(coroutine), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return work.result()
    finally:
        work.cancel()
        gone.cancel()
