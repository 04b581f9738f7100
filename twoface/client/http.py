"""One request to a `twoface serve` over HTTP, and what its refusals mean here."""

import re
import ssl
import time
from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar

import httpx

from twoface.core.errors import InputError, TwoFaceError, Unavailable

MODEL = "two_face_model"
IDLE = 2.0  # seconds: a connection that rested longer may be closed at the other end just now (uvicorn: 5)
UNTRUSTED = re.compile(".*certificate.verify.failed:? *([^(\n]*)", re.IGNORECASE)
Result = TypeVar("Result")
File = str | PathLike[str]
SOONEST = 0.1  # seconds between two attempts, whatever the server says


class Http:
    """Requests to one server, with its key. Safe to use from several threads.

    url: http://HOST:PORT or https://... ca: a file with the certificates to trust instead of the system's.
    """

    def __init__(self, url: str, api_key: str | None = None, ca: File | None = None) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        verify = True if ca is None else trusted(ca)
        limits = httpx.Limits(keepalive_expiry=IDLE)
        self._client = httpx.Client(base_url=url, headers=headers, verify=verify, limits=limits)

    def ask(self, method: str, path: str, timeout: float, **content: Any) -> httpx.Response:
        """-> httpx.Response, a good one. timeout: seconds. content: as of `httpx.Client.request`.

        Raises Unavailable when the server is down, busy or late, InputError when it cannot use what was sent, and
        TwoFaceError for a wrong key, a certificate that is not trusted, its own failure, and a server of another kind.
        """
        content.setdefault("headers", {})["x-request-timeout-ms"] = str(int(timeout * 1000))
        try:
            answer = self._client.request(method, path, timeout=timeout, **content)
        except httpx.ConnectTimeout as error:
            raise unreachable(self.url, "no connection in time") from error
        except httpx.TimeoutException as error:
            raise late(self.url) from error
        except httpx.TransportError as error:
            raise no_connection(self.url, error) from error
        if not answer.is_success:
            raise _refusal(answer, self.url)
        return answer

    def close(self) -> None:
        self._client.close()


def retry_while_busy(ask: Callable[[float], Result], timeout: float) -> Result:
    """ask(seconds left), and again while the server says that it is busy and when to come back -> its result.

    Only such a refusal is repeated: nothing was accepted then. Raises what `ask` raises when the time is up.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            return ask(max(end - time.monotonic(), 0.001))
        except Unavailable as error:
            if error.retry_after is None:
                raise
            pause = max(error.retry_after, SOONEST)
            if time.monotonic() + pause >= end:
                raise
        time.sleep(pause)


def trusted(ca: File) -> ssl.SSLContext:
    """The certificates of a file as a TLS context. Raises InputError when it holds none."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{ca} holds no certificates that can be read ({error}): give a PEM file") from error


def no_connection(url: str, why: object) -> TwoFaceError:
    """The error that a failed connection means. why: what TLS or the network says."""
    refused = UNTRUSTED.search(str(why))
    if refused:
        text = f"the certificate of {url} is not trusted ({refused[1].strip()}): give its own with --ca FILE.pem"
        return TwoFaceError(text, code="untrusted")
    return unreachable(url, why)


def unreachable(url: str, why: object) -> Unavailable:
    why = " ".join(str(why).split())
    return Unavailable(f"no answer from {url} ({why}): is 'twoface serve' running there?", code="backend_away")


def late(url: str) -> Unavailable:
    return Unavailable(f"{url} took too long: try again, or allow more time", code="timeout")


def wrong_key(url: str) -> TwoFaceError:
    return TwoFaceError(f"{url} refuses the API key: give one of the server's (--api-key)", code="wrong_key")


def not_a_backend(url: str) -> TwoFaceError:
    return TwoFaceError(f"{url} is not a 'twoface serve': check the address and the port", code="not_a_backend")


def _refusal(answer: httpx.Response, url: str) -> TwoFaceError:
    """The error that a refusal means."""
    try:
        said = answer.json()
        text, code = said["error"], said.get("code", "")
    except (ValueError, TypeError, KeyError):
        # A proxy says that it found nobody or takes no more (nginx: 1 MB), or somebody else answers.
        if answer.status_code == 413:
            return InputError(f"{url} takes no request so large: allow larger ones in the proxy in front of it")
        return unreachable(url, answer.status_code) if answer.status_code in (502, 503, 504) else not_a_backend(url)
    if answer.status_code in (401, 403):
        return wrong_key(url)
    if answer.status_code in (429, 503):
        return Unavailable(f"{url}: {text}", code=code or "backend_away", retry_after=_seconds(answer))
    if answer.status_code in (408, 504):
        return late(url)
    kind = TwoFaceError if answer.status_code >= 500 else InputError
    about = {"reference": said["reference"]} if "reference" in said else {}
    return kind(f"{url}: {text}", code=code, **about)


def _seconds(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None
