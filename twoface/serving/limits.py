"""What a request may take of the server before anyone looks at it: bytes, time to send them, concurrent requests."""

import asyncio
import time
import zlib
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twoface.serving.problems import Problem

MIN_RATE = 50_000  # bytes a second, beyond the fixed `seconds`
MEGABYTE = 1_000_000
COMPRESSED = ("gzip", "x-gzip", "deflate")
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib's code for either, detected from the header


class Limits:
    """Receives whole bodies, so that what stands behind it meets no slow, endless, huge or compressed one.

    A body in gzip or deflate is decompressed as it arrives; all limits apply to the decompressed size.
    body_bytes: path -> the largest body there. seconds: to send a body in, and one more for every `MIN_RATE` bytes.
    concurrency: requests with bodies that are processed at a time. held_bytes: memory of all their bodies together.
    refuse: makes the answers 400, 408, 413 and 429. received: called with the seconds that a body took.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: Callable[[str], int],
        seconds: float,
        concurrency: int,
        held_bytes: int,
        refuse: Problem,
        received: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._app, self._body_bytes, self._seconds = app, body_bytes, seconds
        self._concurrency, self._held_bytes, self._received = concurrency, held_bytes, received
        self._refuse = refuse
        self._active = self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self._app(scope, receive, send)
        if self._active >= self._concurrency:
            return await self._busy()(scope, receive, send)
        self._active += 1
        body = _Body(self, _coding(scope))
        try:
            refusal = await self._read(body, scope, receive)
            if refusal is not None:
                return await refusal(scope, receive, send)
            await self._app(body.described(scope), body.replay(receive), send)
        finally:
            self._active -= 1
            body.release()

    async def _read(self, body: "_Body", scope: Scope, receive: Receive) -> ASGIApp | None:
        """Take the whole body -> None, or the response that refuses it."""
        most = self._body_bytes(scope["path"])
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(announced) > most:
            return self._too_large(most)
        start = time.monotonic()
        while body.more:
            try:
                async with asyncio.timeout(start + self._seconds + body.sent / MIN_RATE - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                return self._refuse(408, "timeout", "the body came too slowly: send it again", {"connection": "close"})
            if message["type"] == "http.disconnect":
                return _gone
            try:
                body.add(message, most)
            except zlib.error:
                return self._refuse(400, "encoding", "the body is cut short, or not in its Content-Encoding")
            if max(body.size, body.sent) > most:
                return self._too_large(most)
            if self._held > self._held_bytes:
                return self._busy()
        self._received(time.monotonic() - start)
        return None

    def _too_large(self, most: int) -> Response:
        message = f"the body is larger than {most / MEGABYTE:.1f} MB, the most that is taken here"
        return self._refuse(413, "too_large", message, limit=most)

    def _busy(self) -> Response:
        return self._refuse(429, "busy", "too much at once: try again later", {"retry-after": "1"})

    def hold(self, size: int) -> None:
        """Count bytes that a body holds, or, below 0, no longer does."""
        self._held += size


class _Body:
    """sent: bytes received. size: after decompression."""

    def __init__(self, limits: Limits, coding: str) -> None:
        self._limits = limits
        self._parts: list[bytes] | None = []  # None once they are given away
        self._decoder = zlib.decompressobj(GZIP_OR_ZLIB) if coding in COMPRESSED else None
        self.sent, self.size, self.more = 0, 0, True

    def add(self, message: Message, most: int) -> None:
        """Raises zlib.error for what cannot be decompressed. At most one byte beyond `most` is."""
        part: bytes = message.get("body", b"")
        self.sent += len(part)
        self.more = message.get("more_body", False)
        if self._decoder:
            part = self._decoder.decompress(part, most + 1 - self.size)
            if self._decoder.unused_data or not (self.more or self._decoder.eof or self.size + len(part) > most):
                raise zlib.error("bytes behind the end, or no end")
        assert self._parts is not None  # nothing comes after the end
        self._parts.append(part)
        self.size += len(part)
        self._limits.hold(len(part))

    def described(self, scope: Scope) -> Scope:
        """The scope of the body as it is now."""
        if not self._decoder:
            return scope
        headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-encoding", b"content-length")]
        return {**scope, "headers": [*headers, (b"content-length", str(self.size).encode())]}

    def release(self) -> None:
        self._limits.hold(-self.size)

    def replay(self, receive: Receive) -> Receive:
        """An ASGI receive that gives the body at once and then waits for the client to disconnect."""

        async def again() -> Message:
            if self._parts is None:
                return await receive()
            whole, self._parts = b"".join(self._parts), None
            return {"type": "http.request", "body": whole, "more_body": False}

        return again


def _coding(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"content-encoding"]
    return b",".join(given).decode("latin-1").strip().lower()


async def _gone(scope: Scope, receive: Receive, send: Send) -> None:
    """Nobody is there to be answered."""
