"""TensorFlow Serving's REST door, as the thesis' clients use it: NHWC values in [0, 1], JSON in and out."""

from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np
import simdjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.service.engine import MODEL, Engine
from twoface.service.json_tensors import JsonBody, dump_json, unknown_key
from twoface.service.oip import parse_version
from twoface.service.rest import ERRORS, Name, Version, timeout_of
from twoface.service.settings import Settings
from twoface.service.tensors import Array, Crops, check
from twoface.serving.requests import read_body, until_disconnect

INPUTS = {"masked_image": "image", "reference_image": "reference", "mask": "mask"}
SIGNATURE = "serving_default"
VALUES = 3 * SIZE * SIZE
PREDICT = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "signature_name": {"type": "string", "enum": [SIGNATURE]},
                        "inputs": {"type": "object", "description": "name: (N, 128, 128, 3) nested lists in [0, 1]"},
                        "instances": {"type": "array", "description": "for each picture {name: (128, 128, 3)}"},
                    },
                },
                "examples": {"a made-up picture": {"externalValue": "/examples/tfserving.json"}},
            }
        },
    }
}


def read_request(body: bytes, rows: int) -> tuple[Crops, str]:
    """A body of :predict -> (Crops, the key of its answer: "outputs" or "predictions"). Raises InputError."""
    document = JsonBody(body)
    root = document.root
    unknown = unknown_key(root, ("inputs", "instances", "signature_name"))
    if unknown:
        raise InputError(f"unknown key {unknown!r}: give inputs or instances, and perhaps signature_name")
    if root.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
        raise InputError(f"unknown signature_name: the one here is {SIGNATURE}")
    if ("inputs" in root) == ("instances" in root):
        raise InputError("give either 'inputs' (columns) or 'instances' (rows)")
    if "inputs" in root:
        arrays, answer, lists = _columns(document, root["inputs"], rows), "outputs", 0
    else:
        arrays, answer, lists = _rows(document, root["instances"], rows), "predictions", 1
    document.check_nesting(lists)
    return check(**{INPUTS[name]: planes(array, name) for name, array in arrays.items()}, rows=rows), answer


def write_answer(generated: Array, key: str) -> dict[str, Array]:
    """The filled pictures -> what is sent: {"outputs": NHWC} or {"predictions": NHWC}.

    In float64: a client that cuts off `value * 255`, as the thesis' does, gets every level of its picture back. The
    shortest decimals of a float32 lie below the level for 40 of the 256.
    """
    return {key: np.ascontiguousarray(generated.transpose(0, 2, 3, 1), np.float64)}


def status(versions: Sequence[int], ok: str | int = "OK") -> dict[str, Any]:
    """What GET /v1/models/two_face_model says of versions that are served. ok: how "no error" is written."""
    fine = {"error_code": ok, "error_message": ""}
    kind = str if ok == "OK" else int  # JSON has no whole numbers of 64 bits
    states = [{"version": kind(version), "state": "AVAILABLE", "status": fine} for version in versions]
    return {"model_version_status": states}


def metadata(model: str, version: int) -> dict[str, Any]:
    """What GET .../metadata says: the signature."""
    return {
        "model_spec": {"name": model, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature()}}},
    }


def signature() -> dict[str, Any]:
    """The names, types and shapes of inputs and outputs -> dict."""
    colours = {name: _tensor(name, 3) for name in ("masked_image", "reference_image")}
    return {
        "inputs": {**colours, "mask": _tensor("mask", 1)},
        "outputs": {"generated_image": _tensor("generated_image", 3)},
        "method_name": "tensorflow/serving/predict",
    }


def _columns(document: JsonBody, inputs: Any, rows: int) -> dict[str, Array]:
    if not isinstance(inputs, simdjson.Object):
        raise InputError(f"'inputs' must be an object of {', '.join(INPUTS)}")
    check_names(inputs, "inputs")
    return {name: document.array(inputs[name], name, rows * VALUES) for name in inputs}


def _rows(document: JsonBody, instances: Any, rows: int) -> dict[str, Array]:
    if not isinstance(instances, simdjson.Array) or not 1 <= len(instances) <= rows:
        raise InputError(f"'instances' must be a list of 1 to {rows} objects")
    columns: dict[str, list[Array]] = {}
    for number, instance in enumerate(instances):
        if not isinstance(instance, simdjson.Object):
            raise InputError(f"'instances' must be a list of objects of {', '.join(INPUTS)}")
        check_names(instance, f"instance {number}")
        for name in instance:
            columns.setdefault(name, []).append(document.array(instance[name], name, VALUES))
    for name, arrays in columns.items():
        if len(arrays) != len(instances) or len({array.shape for array in arrays}) > 1:
            raise InputError(f"{name} must be in every instance, and of one shape")
    return {name: np.stack(arrays) for name, arrays in columns.items()}


def check_names(given: Iterable[str], where: str) -> None:
    """Raise InputError for an input that is unknown or missing in `given`, which is at `where`."""
    unknown = unknown_key(given, INPUTS)
    if unknown:
        raise InputError(f"{where} has an unknown {unknown!r}: there are {', '.join(INPUTS)}")
    missing = {"masked_image", "reference_image"} - set(given)
    if missing:
        raise InputError(f"{where} lacks {min(missing)}" + _hint(missing))


def _hint(missing: Container[str]) -> str:
    return ": all black (0) if there is none" if "reference_image" in missing else ""


def planes(array: Array, name: str) -> Array:
    """Floats (N, 128, 128, C) or a mask's (N, 128, 128) -> (N, C, 128, 128) float32."""
    depth = 1 if name == "mask" else 3
    if name == "mask" and array.ndim == 3:
        array = array[..., None]
    if array.shape[1:] != (SIZE, SIZE, depth):
        raise InputError(f"{name} must have the shape (N, 128, 128, {depth}), not {array.shape}")
    with np.errstate(over="ignore"):  # becomes infinite, and is refused as such
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2), np.float32)


def _tensor(name: str, depth: int) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in (-1, SIZE, SIZE, depth)]
    return {"dtype": "DT_FLOAT", "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": f"{name}:0"}


def router(engine: Engine, settings: Settings) -> APIRouter:
    """The routes of this door -> APIRouter."""
    routes = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving"], responses=ERRORS)

    @routes.get("/{name}", summary="Which versions are there", response_model=None)
    async def statuses(name: Name) -> dict[str, Any]:
        engine.served(name=name)
        return status(engine.versions)

    @routes.get("/{name}/versions/{version}", summary="Whether a version is there", response_model=None)
    async def one_status(name: Name, version: Version) -> dict[str, Any]:
        return status([engine.served(parse_version(version), name).version])

    @routes.get("/{name}/labels/{label}", summary="Which version has a label", response_model=None)
    async def label_status(name: Name, label: str) -> dict[str, Any]:
        return status([engine.served(name=name, label=label).version])

    @routes.get("/{name}/metadata", summary="The signature", response_model=None)
    async def newest_signature(name: Name) -> dict[str, Any]:
        return metadata(MODEL, engine.served(name=name).version)

    @routes.get("/{name}/versions/{version}/metadata", summary="The signature of a version", response_model=None)
    async def one_signature(name: Name, version: Version) -> dict[str, Any]:
        return metadata(MODEL, engine.served(parse_version(version), name).version)

    @routes.get("/{name}/labels/{label}/metadata", summary="The signature of a labelled version", response_model=None)
    async def label_signature(name: Name, label: str) -> dict[str, Any]:
        return metadata(MODEL, engine.served(name=name, label=label).version)

    @routes.post("/{name}:predict", summary="Fill the holes", openapi_extra=PREDICT)
    async def predict(name: Name, request: Request) -> Response:
        return await _predict(request, engine.served(name=name).version)

    @routes.post("/{name}/versions/{version}:predict", summary="Fill the holes, by a version", openapi_extra=PREDICT)
    async def predict_by(name: Name, version: Version, request: Request) -> Response:
        return await _predict(request, engine.served(parse_version(version), name).version)

    @routes.post("/{name}/labels/{label}:predict", summary="Fill the holes, by a label", openapi_extra=PREDICT)
    async def predict_labelled(name: Name, label: str, request: Request) -> Response:
        return await _predict(request, engine.served(name=name, label=label).version)

    async def _predict(request: Request, version: int) -> Response:
        body, seconds = await read_body(request), timeout_of(request)
        with engine.stage("decode", version):
            crops, key = read_request(body, settings.rows)
        outputs, _ = await until_disconnect(request, engine.predict(crops, version, seconds))
        with engine.stage("encode", version):
            return Response(dump_json(write_answer(outputs["generated"], key)), media_type="application/json")

    return routes
