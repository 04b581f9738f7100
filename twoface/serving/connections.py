"""Addresses, certificates, and uvicorn's HTTP connection with the limit that it lacks: the time of a request."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from twoface.core.errors import InputError, TwoFaceError

ACCEPT = 0.1  # seconds to accept the connections in the backlog
FIRST_REQUEST = 0.5  # seconds that a new connection has for its request at shutdown
TLS_CLOSE = 5.0  # seconds for a client to close TLS


def bind(host: str, port: int) -> socket.socket:
    """A socket for uvicorn to listen on, port 0 for any free one. Raises TwoFaceError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without Nagle's delay of 40 ms only where it is told that the protocol is TCP
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TwoFaceError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return listener


async def accept_pending(servers: Iterable[asyncio.Server]) -> None:
    """Before asyncio servers are closed: accept the connections in their backlogs, which closing would reset.

    The backlog is set to 0 meanwhile: a new client's system tries again after a second, and is refused.
    """
    for listener in (listener for server in servers for listener in server.sockets):
        with socket.socket(fileno=os.dup(listener.fileno())) as same:
            same.listen(0)
    await asyncio.sleep(ACCEPT)


def check_tls(cert: str | Path, key: str | Path) -> None:
    """Raise InputError, which names the file, for a certificate or key that cannot be served with."""
    for path, option, other, mark in (
        (cert, "--tls-cert", key, b"-----BEGIN CERTIFICATE-----"),
        (key, "--tls-key", cert, b"PRIVATE KEY-----"),
    ):
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{option} {path}: {error.strerror}") from error
        if mark not in content:
            swapped = Path(other).is_file() and mark in Path(other).read_bytes()
            advice = f"it is in {other}: swap --tls-cert and --tls-key" if swapped else "give a PEM file"
            what = "certificate" if option == "--tls-cert" else "private key"
            raise InputError(f"{option} {path} holds no {what}: {advice}")
        if b"ENCRYPTED" in content:
            raise InputError(f"{option} {path} is locked with a password: give it without one")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"--tls-key {key} is not the key of --tls-cert {cert}: give a pair") from error
        raise InputError(f"--tls-cert {cert} or --tls-key {key} is damaged: make them again") from error


def timed_connection(head_seconds: float, body_seconds: float) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn that drops a connection whose request comes, or whose answer goes, too slowly.

    `twoface.serving.limits` answers a slow body before that; this is for what no application sees: headers that
    never end, the rest of a body that has been refused, for which `head_seconds` are left, and a client that does
    not take its answer within `body_seconds`.
    """

    class TimedConnection(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _write_timer: asyncio.TimerHandle | None = None
        _phase: tuple[object, bool, bool] | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def shutdown(self) -> None:
            """A new connection has `FIRST_REQUEST` seconds to send its request, which is still answered."""
            if self.cycle is None:
                self.loop.call_later(FIRST_REQUEST, self._end)
            else:
                self._end()

        def _end(self) -> None:
            """asyncio waits 30 s for the client's TLS close_notify, which an idle client does not send: wait less."""
            if self.transport.is_closing():
                return
            super().shutdown()
            if self.transport.is_closing():
                self.loop.call_later(TLS_CLOSE, self._abort_if_sent)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_timer = self.loop.call_later(body_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._write_timer is not None:
                self._write_timer.cancel()

        def _abort_if_sent(self) -> None:
            if not self.transport.get_write_buffer_size():  # else an answer is still being taken
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            if self._write_timer is not None:
                self._write_timer.cancel()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Start the clock anew whenever the client comes from headers to body, or to the next request."""
            state, answered = self.conn.their_state, self.cycle is not None and self.cycle.response_complete
            idle = self.timeout_keep_alive_task is not None  # uvicorn watches it between two requests
            if self._phase == (state, answered, idle):
                return
            self._phase = state, answered, idle
            self._stop()
            if state in (h11.IDLE, h11.SEND_BODY) and not idle:
                seconds = body_seconds if state is h11.SEND_BODY and not answered else head_seconds
                self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()

    return TimedConnection
