"""The photo API of a `twoface serve`: whole photos go there, filled ones and faces come back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from twoface.client.http import File, Http, not_a_backend, retry_while_busy
from twoface.core.errors import InputError

Source = File | bytes | bytearray | memoryview
Numbers = tuple[float, ...] | list[float]
REPORT = "x-two-face-report"


@dataclass(frozen=True)
class Filled:
    """picture: the filled photo, encoded as was asked. report: dict, as `twoface.FillResult.report`."""

    picture: bytes
    report: dict[str, Any]


class PhotoClient:
    """`POST /v1/fill` and `/v1/faces`. Safe to use from several threads.

    url: http://HOST:PORT or https://...; api_key, ca: as of `twoface.client.connect`. timeout: seconds for an answer,
    attempts after "busy" included.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout: float = 60.0, ca: File | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"'{url}' has no photo API: give http://HOST:PORT or https://HOST:PORT")
        self._http, self._timeout = Http(url, api_key, ca), timeout

    def fill(
        self,
        photo: Source,
        *,
        mask: Source | None = None,
        hole: str | Numbers | None = None,
        references: Sequence[Source] = (),
        face: str | Numbers | None = None,
        reference_faces: Sequence[str | Numbers | None] = (),
        feather: float | None = None,
        center_size: int | None = None,
        same_photo: bool = False,
        format: str = "jpeg",
        quality: int | None = None,
    ) -> Filled:
        """Fill a part of a face -> Filled.

        photo, mask, each of references: a path or bytes. The rest as of `Inpainter.fill`; `reference_faces` has one
        for each reference, None where it is to be found, or is empty. format: jpeg, png, webp or tiff.
        Raises InputError for what cannot be used, Unavailable when the server is down, busy or late, else TwoFaceError.
        """
        fields = {
            "hole": _text(hole),
            "face": _text(face),
            "reference_faces": [_text(box) or "" for box in reference_faces],
            "feather": _text(feather),
            "center_size": _text(center_size),
            "same_photo": "true" if same_photo else None,
            "format": format,
            "quality": _text(quality),
        }
        files = [("photo", _bytes(photo)), *(("references", _bytes(item)) for item in references)]
        if mask is not None:
            files.append(("mask", _bytes(mask)))
        answer = self._post("/v1/fill", files, {name: value for name, value in fields.items() if value})
        try:
            return Filled(answer.content, json.loads(answer.headers[REPORT]))
        except (KeyError, ValueError) as error:
            raise not_a_backend(self._http.url) from error

    def faces(self, photo: Source) -> list[dict[str, Any]]:
        """The faces of a photo, a path or bytes, the largest first -> list of dicts: box, frame, score, landmarks."""
        answer = self._post("/v1/faces", [("photo", _bytes(photo))], {})
        try:
            faces: list[dict[str, Any]] = answer.json()["faces"]
            return faces
        except (KeyError, ValueError, TypeError) as error:
            raise not_a_backend(self._http.url) from error

    def close(self) -> None:
        self._http.close()

    def _post(self, path: str, files: list[tuple[str, bytes]], fields: dict[str, Any]) -> httpx.Response:
        sent = [(name, (name, content, "application/octet-stream")) for name, content in files]
        return retry_while_busy(
            lambda seconds: self._http.ask("POST", path, seconds, files=sent, data=fields), self._timeout
        )


def _bytes(source: Source) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{source} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error


def _text(value: str | float | Numbers | None) -> str | None:
    """A form field: a number, a name, or a box as X0,Y0,X1,Y1; None stays."""
    return value if value is None or isinstance(value, str) else ",".join(f"{v:.9g}" for v in _numbers(value))


def _numbers(value: float | Numbers) -> Numbers:
    return value if isinstance(value, (tuple, list)) else (value,)
