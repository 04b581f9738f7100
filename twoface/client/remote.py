"""The network of a `twoface serve` as a model of ours: only 128x128 crops travel, by the Open Inference Protocol."""

import json
import math
from urllib.parse import urlsplit

import httpx
import numpy as np

from twoface.client.http import MODEL, Http, not_a_backend, retry_while_busy
from twoface.core.errors import InputError, Unavailable
from twoface.core.network import INPUT_DEPTHS, OUTPUT_SHAPES, checked

HEADER_LENGTH = "inference-header-content-length"


def connect(url, api_key=None, timeout=10.0, ca=None):
    """A `twoface serve` -> RemoteModel. Nothing is sent yet, so that it need not run yet.

    url: http://HOST:PORT or https://... (REST with binary tensors), grpc://HOST:PORT or grpcs://... timeout: seconds
    for an answer, attempts after "busy" included. ca: a file of certificates to trust instead of the system's.
    Raises InputError for another URL and an unusable `ca`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname or parts.path.strip("/"):
        raise InputError(f"'{url}' is not a backend: give http://HOST:PORT, https://, grpc:// or grpcs://")
    if parts.scheme.startswith("http"):
        return RemoteModel(RestDoor(url, api_key, ca), timeout)
    from twoface.client.grpc import GrpcDoor  # needs a package that REST does without

    return RemoteModel(GrpcDoor(url, api_key, ca), timeout)


def read_key(path):
    """The first API key of a file as `twoface serve --api-key` takes it. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as file:
            keys = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read an API key from {path} ({error}): give a file with one") from error
    if not keys or not keys[0].isascii():
        raise InputError(f"{path} holds no API key: give a file with one")
    return keys[0]


class RemoteModel:
    """What `FillModel` is, answered by a server. Safe to use from several threads. door: how it is spoken to."""

    def __init__(self, door, timeout):
        self.url, self._door, self._timeout = door.url, door, timeout

    def run(self, image, mask, reference, trust=None):
        """As `FillModel.run`. Raises Unavailable when the server is down, busy or late; TwoFaceError for a wrong key,
        another server, and a failure there; InputError for what the network there cannot fill.
        """
        trust = np.ones_like(mask) if trust is None else trust
        inputs = dict(zip(INPUT_DEPTHS, (image, mask, reference, trust), strict=True))
        inputs = {name: np.ascontiguousarray(array, "<f4") for name, array in inputs.items()}
        outputs = retry_while_busy(lambda seconds: self._door.infer(inputs, seconds), self._timeout)
        if outputs.keys() < OUTPUT_SHAPES.keys():
            raise not_a_backend(self.url)
        return checked(outputs, len(image), f"{self.url} serves another network")

    @property
    def metadata(self):
        """What the server says of its network -> dict of texts, as of `FillModel`; over gRPC it is empty."""
        return self._door.metadata(self._timeout)

    def ready(self):
        """Whether it answers now. Raises TwoFaceError for a wrong key, and a server that is not trusted or not ours."""
        try:
            return self._door.ready(self._timeout)
        except Unavailable:
            return False

    def close(self):
        self._door.close()


class RestDoor:
    """Open Inference Protocol over REST, tensors as bytes behind the JSON."""

    def __init__(self, url, api_key, ca):
        self.url, self._http = url, Http(url, api_key, ca)

    def infer(self, inputs, timeout):
        """{name: float32 array} -> {name: float32 array}."""
        tensors = [
            {
                "name": name,
                "shape": array.shape,
                "datatype": "FP32",
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in inputs.items()
        ]
        wanted = [{"name": name, "parameters": {"binary_data": True}} for name in OUTPUT_SHAPES]
        head = json.dumps({"inputs": tensors, "outputs": wanted}).encode()
        answer = self._http.ask(
            "POST",
            f"/v2/models/{MODEL}/infer",
            timeout,
            headers={HEADER_LENGTH: str(len(head)), "content-type": "application/octet-stream"},
            content=b"".join([head, *(array.tobytes() for array in inputs.values())]),
        )
        try:
            return _tensors(answer)
        except (ValueError, TypeError, KeyError) as error:
            raise not_a_backend(self.url) from error

    def metadata(self, timeout):
        return _fields(self._model(timeout, ""), self.url).get("properties", {})

    def ready(self, timeout):
        return _fields(self._model(timeout, "/ready"), self.url).get("ready") is True

    def close(self):
        self._http.close()

    def _model(self, timeout, what):
        return self._http.ask("GET", f"/v2/models/{MODEL}{what}", timeout)


def _fields(answer: httpx.Response, url):
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise not_a_backend(url)
    return said


def _tensors(answer):
    """The binary tensors of an answer. Raises ValueError, TypeError or KeyError for one that is none."""
    length = int(answer.headers[HEADER_LENGTH])
    head, at, outputs = json.loads(answer.content[:length]), length, {}
    for tensor in head["outputs"]:
        count = math.prod(tensor["shape"])
        array = np.frombuffer(answer.content, "<f4", count, at).reshape(tensor["shape"])
        outputs[tensor["name"]] = array
        at += array.nbytes
    return outputs
