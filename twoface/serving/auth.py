"""API keys: read from a file, compared in constant time. ASGI middleware, and the same check for gRPC."""

import hashlib
import hmac
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from twoface.core.errors import InputError

SHORTEST = 16

log = logging.getLogger(__name__)


class Keys:
    """The keys of a file, one a line; empty lines and those that begin with # are passed over. called: what they are.

    The file is read again when it has changed, so that a key can be added or taken back while the server runs; a
    changed file that cannot be used leaves the keys as they are. Raises InputError for such a file at the start.
    """

    def __init__(self, path: str | Path, called: str = "API keys") -> None:
        self._path, self._called = path, called
        self._stamp: tuple[int, int, int] | None = None
        self._digests: list[bytes] = []
        self._read()

    def valid(self, key: str) -> bool:
        """Whether `key` is one of them; the time it takes does not tell how much of it is right."""
        try:
            self._read()
        except InputError as error:
            log.error("the %s stay as they were: %s", self._called, error)
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])  # a list: all are compared

    def _read(self) -> None:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            with open(self._path, "rb") as file:
                content = file.read()
        except OSError as error:
            told = f"cannot read the {self._called} in {self._path}: {error.strerror or error}"
            raise InputError(told) from error
        self._stamp = stamp  # of what was read: a file that could not be is tried again
        try:
            lines = [line.strip() for line in content.decode().split("\n")]
        except UnicodeDecodeError as error:
            raise InputError(f"cannot read the {self._called} in {self._path}: {error}") from error
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys or min(map(len, keys)) < SHORTEST:
            raise InputError(f"{self._path} must hold {self._called} of at least {SHORTEST} letters, one a line")
        self._digests = [_digest(key) for key in keys]


class RequireKey:
    """Answers 401 unless a request brings a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    open_paths: beginnings of paths that need none.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, open_paths: Iterable[str] = ()) -> None:
        self._app, self._keys, self._open = app, keys, tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(self._open):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if not self._keys.valid(key_of(headers)):
                return await _refusal(scope, receive, send)
        await self._app(scope, receive, send)


def key_of(headers: Mapping[str, str]) -> str:
    """The key in lower-case HTTP headers or gRPC metadata, "" if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


NO_KEY = "this needs an API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
_refusal = JSONResponse({"error": NO_KEY, "code": "no_key"}, 401, {"www-authenticate": "Bearer"})
