"""Small bodies that run: GET /examples/tfserving.json, then POST it."""

from functools import cache
from typing import Any

import numpy as np

from twoface.core.frame import SIZE
from twoface.service.json_tensors import dump_json
from twoface.service.tensors import CENTER, Array


@cache
def example(name: str) -> bytes:
    """-> the JSON body, "tfserving" or "oip", of a made-up picture with a black centre and its reference."""
    ramp = np.linspace(40, 200, SIZE).astype(np.uint8)
    reference = np.broadcast_to(ramp[:, None, None], (1, SIZE, SIZE, 3)).copy()
    picture = reference.copy()
    picture[:, CENTER, CENTER] = 0
    if name == "tfserving":
        return dump_json({"inputs": {"masked_image": _values(picture), "reference_image": _values(reference)}})
    inputs = [_tensor("image", picture), _tensor("reference", reference)]
    return dump_json({"inputs": inputs, "outputs": [{"name": "generated"}]})


def _values(pixels: Array) -> Array:
    values: Array = (pixels / 255).round(2)
    return values


def _tensor(name: str, pixels: Array) -> dict[str, Any]:
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    return {"name": name, "datatype": "UINT8", "shape": planes.shape, "data": planes.ravel()}
