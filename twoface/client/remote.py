"""The network of a `twoface serve` as a model of ours: only 128x128 crops travel, by the Open Inference Protocol."""

import json
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from twoface.client.http import MODEL, File, Http, not_a_backend, retry_while_busy
from twoface.core.errors import InputError, Unavailable
from twoface.core.network import INPUT_DEPTHS, OUTPUT_SHAPES, checked

Floats = NDArray[np.float32]
HEADER_LENGTH = "inference-header-content-length"


def connect(url: str, api_key: str | None = None, timeout: float = 10.0, ca: File | None = None) -> "RemoteModel":
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


def read_key(path: File) -> str:
    """The first API key of a file as `twoface serve --api-key` takes it. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as file:
            keys = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read an API key from {path} ({error}): give a file with one") from error
    if not keys or not keys[0].isascii():
        raise InputError(f"{path} holds no API key: give a file with one")
    return keys[0]


class Door(Protocol):
    """How a server is spoken to. timeout: seconds."""

    url: str

    def infer(self, inputs: Mapping[str, Floats], timeout: float) -> dict[str, Floats]: ...

    def metadata(self, timeout: float) -> dict[str, str]: ...

    def ready(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


class RemoteModel:
    """What `FillModel` is, answered by a server. Safe to use from several threads. door: how it is spoken to."""

    def __init__(self, door: Door, timeout: float) -> None:
        self.url, self._door, self._timeout = door.url, door, timeout
        self._one_each = False  # whether the server has refused several rows in a request (`twoface serve --rows 1`)

    def run(self, image: Floats, mask: Floats, reference: Floats, trust: Floats | None = None) -> dict[str, Floats]:
        """As `FillModel.run`. Raises Unavailable when the server is down, busy or late; TwoFaceError for a wrong key,
        another server, and a failure there; InputError for what the network there cannot fill.
        """
        trust = np.ones_like(mask) if trust is None else trust
        inputs = dict(zip(INPUT_DEPTHS, (image, mask, reference, trust), strict=True))
        inputs = {name: np.ascontiguousarray(array, "<f4") for name, array in inputs.items()}
        outputs = self._ask_for_each(inputs) if self._one_each and len(image) > 1 else self._ask(inputs)
        if outputs.keys() < OUTPUT_SHAPES.keys():
            raise not_a_backend(self.url)
        result: dict[str, Floats] = checked(outputs, len(image), f"{self.url} serves another network")
        return result

    def _ask(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        try:
            return retry_while_busy(lambda seconds: self._door.infer(inputs, seconds), self._timeout)
        except InputError:
            if len(inputs["image"]) == 1:
                raise
        outputs = self._ask_for_each(inputs)
        self._one_each = True
        return outputs

    def _ask_for_each(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """A request for each row, all at once: the server may batch them."""
        rows = [{name: array[i : i + 1] for name, array in inputs.items()} for i in range(len(inputs["image"]))]
        with ThreadPoolExecutor(len(rows)) as threads:
            answers = list(threads.map(self._ask, rows))
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    @property
    def metadata(self) -> dict[str, str]:
        """What the server says of its network -> dict of texts, as of `FillModel`; over gRPC it is empty."""
        return self._door.metadata(self._timeout)

    def ready(self) -> bool:
        """Whether it answers now. Raises TwoFaceError for a wrong key, and a server that is not trusted or not ours."""
        try:
            return self._door.ready(self._timeout)
        except Unavailable:
            return False

    def close(self) -> None:
        self._door.close()


class RestDoor:
    """Open Inference Protocol over REST, tensors as bytes behind the JSON."""

    def __init__(self, url: str, api_key: str | None, ca: File | None) -> None:
        self.url, self._http = url, Http(url, api_key, ca)

    def infer(self, inputs: Mapping[str, Floats], timeout: float) -> dict[str, Floats]:
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

    def metadata(self, timeout: float) -> dict[str, str]:
        properties: dict[str, str] = _fields(self._model(timeout, ""), self.url).get("properties", {})
        return properties

    def ready(self, timeout: float) -> bool:
        return _fields(self._model(timeout, "/ready"), self.url).get("ready") is True

    def close(self) -> None:
        self._http.close()

    def _model(self, timeout: float, what: str) -> httpx.Response:
        return self._http.ask("GET", f"/v2/models/{MODEL}{what}", timeout)


def _fields(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise not_a_backend(url)
    return said


def _tensors(answer: httpx.Response) -> dict[str, Floats]:
    """The binary tensors of an answer. Raises ValueError, TypeError or KeyError for one that is none."""
    length = int(answer.headers[HEADER_LENGTH])
    head, at = json.loads(answer.content[:length]), length
    outputs: dict[str, Floats] = {}
    for tensor in head["outputs"]:
        count = math.prod(tensor["shape"])
        array = np.frombuffer(answer.content, "<f4", count, at).reshape(tensor["shape"])
        outputs[tensor["name"]] = array
        at += array.nbytes
    return outputs
