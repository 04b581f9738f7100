"""The Open Inference Protocol's REST door: JSON, and the binary extension of tensors behind the JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import simdjson
from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from starlette.responses import JSONResponse, Response

from twoface.core.errors import InputError
from twoface.service import oip
from twoface.service.engine import MODEL, Engine
from twoface.service.json_tensors import JsonBody, dump_json
from twoface.service.rest import ERRORS, Name, timeout_of
from twoface.service.settings import Settings
from twoface.service.tensors import Array, Crops
from twoface.serving.requests import read_body, until_disconnect

HEADER_LENGTH = "Inference-Header-Content-Length"
TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "enum": list(oip.INPUTS)},
        "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
        "datatype": {"type": "string", "enum": list(oip.TYPES)},
        "data": {"type": "array", "description": "the numbers, flat or nested"},
        "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer"}}},
    },
}
OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "enum": list(oip.OUTPUTS)},
        "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
    },
}
INFER = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "inputs": {"type": "array", "items": TENSOR, "minItems": 1},
                        "outputs": {"type": "array", "items": OUTPUT},
                        "parameters": {"type": "object"},
                    },
                },
                "examples": {"a made-up picture": {"externalValue": "/examples/oip.json"}},
            }
        },
    }
}


INDEX = {
    "requestBody": {
        "content": {"application/json": {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}}
    }
}


@dataclass(frozen=True)
class InferRequest:
    """crops: what to fill. outputs: {name: whether it goes back as bytes}. id: of the caller. seconds: its timeout."""

    crops: Crops
    outputs: dict[str, bool]
    id: str
    seconds: float | None


def read_infer(body: bytes, header_length: str | None, rows: int) -> InferRequest:
    """A body of infer -> InferRequest.

    header_length: of the JSON before the binary tensors, as the header says it, or None. Raises InputError.
    """
    length = _header_length(header_length, len(body))
    document, rest = JsonBody(body[:length]), _Rest(body, length)
    root = document.root
    inputs = _objects(root, "inputs")
    crops = oip.read_inputs([_input(document, item, rest, rows) for item in inputs], rows)
    rest.check_used()
    items = [] if root.get("outputs") is None else _objects(root, "outputs", fewest=0)  # none are all
    document.check_nesting(1 + len(inputs) + ("outputs" in root))
    parameters = _parameters(root)
    binary = parameters.get("binary_data_output") is True
    wanted = [(_text(item, "name"), _parameters(item)) for item in items]
    for _, said in wanted:
        oip.refuse_parameters(said)
    asked = {name: said.get("binary_data", binary) is True for name, said in wanted}
    outputs = {name: asked.get(name, binary) for name in oip.check_outputs([name for name, _ in wanted])}
    request_id = "" if root.get("id") is None else _text(root, "id")
    return InferRequest(crops, outputs, request_id, oip.timeout(parameters.get("timeout")))


def write_infer(request: InferRequest, outputs: dict[str, Array], model: str, version: int) -> tuple[bytes, int | None]:
    """The answer -> (bytes, length of its JSON, or None where no output goes back as bytes)."""
    tensors: list[dict[str, Any]] = []
    raw: list[memoryview] = []
    for name, binary in request.outputs.items():
        array = np.ascontiguousarray(outputs[name])
        tensor: dict[str, Any] = {"name": name, "datatype": oip.datatype(array), "shape": array.shape}
        if binary:
            tensor["parameters"] = {"binary_data_size": array.nbytes}
            raw.append(array.data.cast("B"))
        else:
            tensor["data"] = array.ravel()
        tensors.append(tensor)
    head = {"id": request.id} if request.id else {}
    text = dump_json({"model_name": model, "model_version": str(version), **head, "outputs": tensors})
    return (b"".join([text, *raw]), len(text)) if raw else (text, None)


class _Rest:
    """The bytes behind the JSON, taken tensor by tensor."""

    def __init__(self, body: bytes, start: int) -> None:
        self._body, self._at = body, start

    def take(self, size: Any, name: str) -> bytes:
        if type(size) is not int or not 0 <= size <= len(self._body) - self._at:
            raise InputError(f"{name}: binary_data_size says {size}, but {len(self._body) - self._at} bytes are left")
        self._at += size
        return self._body[self._at - size : self._at]

    def check_used(self) -> None:
        if self._at != len(self._body):
            raise InputError(f"{len(self._body) - self._at} bytes are left over behind the tensors")


def _header_length(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= most):
        raise InputError(f"Inference-Header-Content-Length must be 0 to {most}, the length of the body")
    return int(text)


def _input(document: JsonBody, item: simdjson.Object, rest: _Rest, rows: int) -> tuple[str, Array]:
    name, kind = _text(item, "name"), _text(item, "datatype")
    given = item.get("shape")
    if not isinstance(given, simdjson.Array) or len(given) != 4 or not all(type(size) is int for size in given):
        raise InputError(f"{name[:40]!r} needs a shape of 4 whole numbers")
    shape: list[Any] = list(given)
    dtype = oip.expect(name, kind, shape, rows)
    parameters = _parameters(item)
    oip.refuse_parameters(parameters)
    size, data = parameters.get("binary_data_size"), item.get("data")
    if (size is None) == (data is None):
        raise InputError(f"{name} needs either data or, with the tensors behind the JSON, binary_data_size")
    if size is not None:
        return name, oip.from_bytes(rest.take(size, name), name, dtype, shape)
    return name, _from_json(document, data, name, dtype, shape)


def _from_json(document: JsonBody, data: Any, name: str, dtype: np.dtype[Any], shape: list[int]) -> Array:
    numbers = document.array(data, name, int(np.prod(shape)), "u" if dtype == np.uint8 else "d")
    if numbers.shape not in (tuple(shape), (np.prod(shape),)):
        raise InputError(f"{name}'s data is {numbers.shape}: give it flat, or nested as its shape says")
    if dtype == np.uint8 and numbers.max() > 255:
        raise InputError(f"{name} holds values above 255")
    with np.errstate(over="ignore"):  # becomes infinite, and is refused as such
        return numbers.astype(dtype).reshape(shape)


def _objects(root: simdjson.Object, key: str, fewest: int = 1) -> list[simdjson.Object]:
    items = root.get(key)
    if not isinstance(items, simdjson.Array) or not fewest <= len(items) <= 16:
        raise InputError(f"{key!r} must be a list of {fewest} to 16 tensors")
    objects = [item for item in items if isinstance(item, simdjson.Object)]
    if len(objects) < len(items):
        raise InputError(f"{key!r} must be a list of objects")
    return objects


def _text(item: simdjson.Object, key: str) -> str:
    text = item.get(key)
    if not isinstance(text, str) or len(text) > 200:
        raise InputError(f"{key!r} must be a text of at most 200 letters")
    return text


def _parameters(item: simdjson.Object) -> Any:
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, simdjson.Object):
        raise InputError("'parameters' must be an object")
    return parameters


def router(engine: Engine, settings: Settings) -> APIRouter:
    """The routes of this door -> APIRouter."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=ERRORS)
    _add_server_routes(routes, engine)
    for path in ("/models/{name}", "/models/{name}/versions/{version}"):
        _add_model_routes(routes, path, engine, settings)
    return routes


def _add_server_routes(routes: APIRouter, engine: Engine) -> None:
    @routes.get("", summary="What this server is", response_model=None)
    async def server() -> dict[str, Any]:
        return oip.SERVER

    @routes.get("/health/live", summary="Whether the process is up", response_model=None)
    async def live() -> dict[str, bool]:
        return {"live": True}

    @routes.get("/health/ready", summary="Whether requests are answered; 503 when not")
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": engine.ready}, 200 if engine.ready else 503)

    @routes.get("/models/stats", summary="What each version has done", response_model=None)
    async def stats() -> dict[str, Any]:
        return oip.statistics(engine, None, MODEL)

    @routes.post(
        "/repository/index", summary="Which versions are there, served or not", openapi_extra=INDEX, response_model=None
    )
    async def index(request: Request) -> list[dict[str, str]]:
        body = await read_body(request)
        wanted = JsonBody(body).root.get("ready") if body.strip() else None
        if not isinstance(wanted, bool | None):
            raise InputError("'ready' must be true or false")
        return oip.repository_index(engine, wanted)


async def _newest() -> str:
    return ""


def _add_model_routes(routes: APIRouter, path: str, engine: Engine, settings: Settings) -> None:
    number = PathParameter(examples=["1"]) if path.endswith("{version}") else Depends(_newest)

    @routes.get(path, summary="The model's inputs and outputs", response_model=None)
    async def metadata(name: Name, version: str = number) -> dict[str, Any]:
        return oip.model_metadata(engine.served(oip.parse_version(version), name), engine.versions, MODEL)

    @routes.get(f"{path}/ready", summary="Whether the model answers; 503 when not")
    async def ready(name: Name, version: str = number) -> JSONResponse:
        engine.served(oip.parse_version(version), name)
        return JSONResponse({"name": MODEL, "ready": engine.ready}, 200 if engine.ready else 503)

    @routes.get(f"{path}/config", summary="The model's configuration in Triton's form", response_model=None)
    async def config(name: Name, version: str = number) -> dict[str, Any]:
        engine.served(oip.parse_version(version), name)
        return oip.model_config(settings, MODEL)

    @routes.get(f"{path}/stats", summary="What the model has done", response_model=None)
    async def stats(name: Name, version: str = number) -> dict[str, Any]:
        return oip.statistics(engine, oip.parse_version(version), name)

    @routes.post(f"{path}/infer", summary="Fill the holes", openapi_extra=INFER)
    async def infer(name: Name, request: Request, version: str = number) -> Response:
        chosen = engine.served(oip.parse_version(version), name).version
        body, seconds = await read_body(request), timeout_of(request)
        with engine.stage("decode", chosen):
            asked = read_infer(body, request.headers.get(HEADER_LENGTH), settings.rows)
        work = engine.predict(asked.crops, chosen, oip.nearer(seconds, asked.seconds))
        outputs, chosen = await until_disconnect(request, work)
        with engine.stage("encode", chosen):
            answer, length = write_infer(asked, outputs, MODEL, chosen)
        if length is None:
            return Response(answer, media_type="application/json")
        return Response(answer, headers={HEADER_LENGTH: str(length)}, media_type="application/octet-stream")
