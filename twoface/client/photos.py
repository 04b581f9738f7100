"""The photo API of a `twoface serve`: whole photos go there, filled ones and faces come back."""

import json
from dataclasses import dataclass
from pathlib import Path

from twoface.client.http import Http, not_a_backend, retry_while_busy
from twoface.core.errors import InputError

REPORT = "x-two-face-report"


@dataclass(frozen=True)
class Filled:
    """picture: the filled photo, encoded as was asked. report: dict, as `twoface.core.inpainter.FillResult.report`."""

    picture: bytes
    report: dict


class PhotoClient:
    """`POST /v1/fill` and `/v1/faces`. Safe to use from several threads.

    url: http://HOST:PORT or https://...; api_key, ca: as of `twoface.client.connect`. timeout: seconds for an answer,
    attempts after "busy" included.
    """

    def __init__(self, url, api_key=None, timeout=60.0, ca=None):
        if not url.startswith(("http://", "https://")):
            raise InputError(f"'{url}' has no photo API: give http://HOST:PORT or https://HOST:PORT")
        self._http, self._timeout = Http(url, api_key, ca), timeout

    def fill(
        self,
        photo,
        *,
        mask=None,
        hole=None,
        references=(),
        face=None,
        reference_faces=(),
        feather=None,
        center_size=None,
        same_photo=False,
        format="jpeg",
        quality=None,
    ):
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

    def faces(self, photo):
        """The faces of a photo, a path or bytes, the largest first -> list of dicts: box, frame, score, landmarks."""
        answer = self._post("/v1/faces", [("photo", _bytes(photo))], {})
        try:
            return answer.json()["faces"]
        except (KeyError, ValueError, TypeError) as error:
            raise not_a_backend(self._http.url) from error

    def close(self):
        self._http.close()

    def _post(self, path, files, fields):
        sent = [(name, (name, content, "application/octet-stream")) for name, content in files]
        return retry_while_busy(
            lambda seconds: self._http.ask("POST", path, seconds, files=sent, data=fields), self._timeout
        )


def _bytes(source):
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{source} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error


def _text(value):
    """A form field: a number, a name, or a box as X0,Y0,X1,Y1; None stays."""
    return value if value is None or isinstance(value, str) else ",".join(f"{v:.9g}" for v in _numbers(value))


def _numbers(value):
    return value if isinstance(value, (tuple, list)) else (value,)
