"""The Open Inference Protocol's view of the model, for its REST and its gRPC door."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

import twoface
from twoface.core.errors import InputError
from twoface.core.frame import SIZE
from twoface.core.network import OUTPUT_SHAPES
from twoface.service.engine import MODEL, Engine, Served
from twoface.service.settings import Settings
from twoface.service.tensors import Array, Crops, check

SERVER = {
    "name": "twoface",
    "version": twoface.__version__,
    "extensions": ["binary_tensor_data", "model_configuration", "model_repository", "statistics"],
}
PLATFORM = "onnxruntime_onnx"
INPUTS = {"image": (3, SIZE, SIZE), "mask": (1, SIZE, SIZE), "reference": (3, SIZE, SIZE), "trust": (1, SIZE, SIZE)}
OUTPUTS = {"generated": (3, SIZE, SIZE), **OUTPUT_SHAPES}
TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}


def datatype(array: Array) -> str:
    """An array's name in the protocol: "FP32" or "UINT8"."""
    return "UINT8" if array.dtype == np.uint8 else "FP32"


def expect(name: str, kind: str, shape: Sequence[int], rows: int) -> np.dtype[Any]:
    """The dtype of an input that was announced so. Raises InputError when it is none of the model's."""
    if name not in INPUTS:
        raise InputError(f"unknown input {name[:40]!r}: there are {', '.join(INPUTS)}")
    if kind not in TYPES:
        raise InputError(f"{name} must be {' or '.join(TYPES)}, not {kind[:40]!r}")
    if tuple(shape[1:]) != INPUTS[name] or not 1 <= shape[0] <= rows:
        raise InputError(f"{name} must have the shape {['N', *INPUTS[name]]}, N from 1 to {rows}, not {shape[:8]}")
    return TYPES[kind]


def from_bytes(raw: bytes, name: str, dtype: np.dtype[Any], shape: Sequence[int]) -> Array:
    """An input's bytes -> array. Raises InputError when there are more or fewer than its shape says."""
    size = math.prod(shape) * dtype.itemsize
    if len(raw) != size:
        raise InputError(f"{name} has {len(raw)} bytes: its shape and datatype make {size}")
    flat: Array = np.frombuffer(raw, dtype)
    return flat.reshape(shape)


def read_inputs(arrays: Sequence[tuple[str, Array]], rows: int) -> Crops:
    """[(name, array)] -> Crops. Raises InputError as `check`, and when one is missing or there twice."""
    given = dict(arrays)
    if len(given) != len(arrays):
        raise InputError("an input is there twice")
    if "image" not in given:
        raise InputError("there is no input image")
    return check(**given, rows=rows)


def check_outputs(names: Sequence[str]) -> list[str]:
    """The outputs that were asked for, all if none -> list. Raises InputError for an unknown one or one asked twice."""
    for name in names:
        if name not in OUTPUTS:
            raise InputError(f"unknown output {name[:40]!r}: there are {', '.join(OUTPUTS)}")
    if len(set(names)) != len(names):
        raise InputError("an output is asked for twice")
    return list(names) or list(OUTPUTS)


def refuse_parameters(parameters: Container[str]) -> None:
    """Raise InputError for a tensor's parameter whose being passed over would make the answer wrong."""
    for name in ("shared_memory_region", "classification"):
        if name in parameters:
            raise InputError(f"the parameter {name} is not offered here")


def timeout(microseconds: Any) -> float | None:
    """Triton's request parameter timeout -> seconds, or None where there is none (0 says so too). Raises InputError."""
    if not microseconds:
        return None
    if type(microseconds) is not int or not 0 < microseconds < 1e12:
        raise InputError("the parameter timeout must be microseconds, a whole number")
    return float(microseconds / 1e6)


def nearer(*seconds: float | None) -> float | None:
    """The least of several times, or None where none is given."""
    return min((given for given in seconds if given is not None), default=None)


def parse_version(text: str) -> int | None:
    """A version in a path or message, "" for the newest -> int or None. Raises InputError."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InputError(f"a version is a number, not {text[:40]!r}")
    return int(text)


def model_metadata(served: Served, versions: Sequence[int], model: str) -> dict[str, Any]:
    """What both doors say of a version -> dict."""

    def tensors(shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "FP32", "shape": [-1, *shape]} for name, shape in shapes.items()]

    return {
        "name": model,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": tensors(INPUTS),
        "outputs": tensors(OUTPUTS),
        "properties": dict(served.network.metadata),
    }


def statistics(engine: Engine, version: int | None, name: str) -> dict[str, Any]:
    """Triton's statistics of a version, of all where it is None, for both doors -> dict."""
    engine.served(version, name)  # or it raises
    known = map(engine.served, engine.versions if version is None else [version])
    about = [{"name": MODEL, "version": str(served.version), **served.statistics.report()} for served in known]
    return {"model_stats": about}


def repository_index(engine: Engine, ready: bool | None) -> list[dict[str, str]]:
    """Triton's index of the models, for both doors -> list of dicts. ready: only those that answer."""
    return [
        {
            "name": MODEL,
            "version": str(version),
            "state": "UNAVAILABLE" if reason else "READY",
            "reason": " ".join((reason or "").split()),
        }
        for version, reason in engine.index()
        if not (ready and reason)
    ]


def model_config(settings: Settings, model: str) -> dict[str, Any]:
    """Triton's ModelConfig, in its JSON form -> dict; the gRPC door fills the message from it."""

    def tensors(shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
        return [{"name": name, "data_type": "TYPE_FP32", "dims": list(shape)} for name, shape in shapes.items()]

    inputs = tensors(INPUTS)
    for tensor in inputs[1:]:
        tensor["optional"] = True
    return {
        "name": model,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": settings.rows,
        "input": inputs,
        "output": tensors(OUTPUTS),
        "dynamic_batching": {
            "preferred_batch_size": [settings.batch_size],
            "max_queue_delay_microseconds": round(settings.batch_wait * 1e6),
        },
    }
