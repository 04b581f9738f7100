"""TensorFlow Serving's own gRPC door: Predict, GetModelMetadata and GetModelStatus. Values as over its REST."""

import math
from typing import Any

import grpc
import numpy as np

from twoface.core.errors import InputError
from twoface.service import tfserving
from twoface.service.closing import Closing
from twoface.service.engine import MODEL, Engine, Served
from twoface.service.metrics import Metrics
from twoface.service.proto import tensorflow_pb2, tfserving_pb2
from twoface.service.rpc import answered, call_seconds
from twoface.service.settings import Settings
from twoface.service.tensors import Array, Crops, check
from twoface.serving.auth import Keys

OUTPUT = "generated_image"
METHODS = {"PredictionService": ("Predict", "GetModelMetadata"), "ModelService": ("GetModelStatus",)}
SERVICES = tuple(tfserving_pb2.DESCRIPTOR.services_by_name[name].full_name for name in METHODS)
KINDS = {tensorflow_pb2.DT_FLOAT: ("<f4", "float_val"), tensorflow_pb2.DT_DOUBLE: ("<f8", "double_val")}


class PredictionServicer:
    """The methods on an `Engine`. keys: `Keys`, or None where none is needed."""

    door, closing = "tfserving_grpc", Closing()

    def __init__(self, engine: Engine, metrics: Metrics, settings: Settings, keys: Keys | None = None) -> None:
        self.engine, self.metrics, self.settings, self.keys = engine, metrics, settings, keys

    @answered(tfserving_pb2.PredictResponse)
    async def Predict(self, request: Any, grpc_context: Any) -> Any:
        version = self._served(request.model_spec).version
        with self.engine.stage("decode", version):
            crops = read_predict(request, self.settings.rows)
        outputs, version = await self.engine.predict(crops, version, call_seconds(grpc_context))
        with self.engine.stage("encode", version):
            picture = np.ascontiguousarray(outputs["generated"].transpose(0, 2, 3, 1))
            return tfserving_pb2.PredictResponse(model_spec=_spec(version), outputs={OUTPUT: _tensor(picture)})

    @answered(tfserving_pb2.GetModelMetadataResponse)
    async def GetModelMetadata(self, request: Any, grpc_context: Any) -> Any:
        if set(request.metadata_field) != {"signature_def"}:
            raise InputError("metadata_field must be signature_def")
        reply = tfserving_pb2.GetModelMetadataResponse(model_spec=_spec(self._served(request.model_spec).version))
        reply.metadata["signature_def"].Pack(_signatures())
        return reply

    @answered(tfserving_pb2.GetModelStatusResponse)
    async def GetModelStatus(self, request: Any, grpc_context: Any) -> Any:
        spec = request.model_spec
        named = self._served(spec).version  # or it raises
        versions = [named] if spec.WhichOneof("version_choice") else self.engine.versions
        return tfserving_pb2.GetModelStatusResponse(**tfserving.status(versions, ok=0))

    def _served(self, spec: Any) -> Served:
        """Like TensorFlow Serving: an unset version is the newest. Raises UnknownModel and InputError."""
        if spec.signature_name not in ("", tfserving.SIGNATURE):
            raise InputError(f"unknown signature_name: the one here is {tfserving.SIGNATURE}")
        choice = spec.WhichOneof("version_choice")
        label = spec.version_label if choice == "version_label" else None
        return self.engine.served(spec.version.value if choice == "version" else None, spec.name, label)


def add_servicer(servicer: PredictionServicer, server: Any) -> None:
    """Add the methods of both services to a server of gRPC."""
    for full_name, methods in zip(SERVICES, METHODS.values(), strict=True):
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(servicer, name),
                getattr(tfserving_pb2, f"{name}Request").FromString,
                getattr(tfserving_pb2, f"{name}Response").SerializeToString,
            )
            for name in methods
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(full_name, handlers),))
        server.add_registered_method_handlers(full_name, handlers)


def read_predict(request: Any, rows: int) -> Crops:
    """A PredictRequest -> Crops. Raises InputError."""
    if not set(request.output_filter) <= {OUTPUT}:
        raise InputError(f"output_filter names another output than {OUTPUT}")
    tfserving.check_names(request.inputs, "the request")
    arrays = {name: _array(name, tensor, rows) for name, tensor in request.inputs.items()}
    return check(**{tfserving.INPUTS[name]: tfserving.planes(array, name) for name, array in arrays.items()}, rows=rows)


def _array(name: str, tensor: Any, rows: int) -> Array:
    if tensor.dtype not in KINDS:
        raise InputError(f"{name} must be DT_FLOAT or DT_DOUBLE")
    shape = [dim.size for dim in tensor.tensor_shape.dim[:5]]
    if not all(0 < size <= max(rows, 128) for size in shape):
        raise InputError(f"{name} has the shape {shape}: (1 to {rows}, 128, 128, 3) is wanted, 1 at the end for mask")
    kind, field = KINDS[tensor.dtype]
    count, values = math.prod(shape), getattr(tensor, field)
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * np.dtype(kind).itemsize:
            raise InputError(f"{name} has {len(tensor.tensor_content)} bytes: its shape and dtype make another number")
        return np.frombuffer(tensor.tensor_content, kind).reshape(shape)
    if len(values) not in (1, count):  # one stands for all, as TensorFlow has it
        raise InputError(f"{name} has {len(values)} values in {field}: its shape makes {count}")
    return np.broadcast_to(np.array(values, kind), count).reshape(shape)


def _tensor(array: Array) -> Any:
    dims = [{"size": size} for size in array.shape]
    return tensorflow_pb2.TensorProto(
        dtype=tensorflow_pb2.DT_FLOAT, tensor_shape={"dim": dims}, tensor_content=array.tobytes()
    )


def _spec(version: int) -> Any:
    return tfserving_pb2.ModelSpec(name=MODEL, version={"value": version}, signature_name=tfserving.SIGNATURE)


def _signatures() -> Any:
    """What the REST door says in JSON, as the message."""
    described = tfserving.signature()
    for tensor in (*described["inputs"].values(), *described["outputs"].values()):
        tensor["dtype"] = tensorflow_pb2.DataType.Value(tensor["dtype"])
        for dim in tensor["tensor_shape"]["dim"]:
            dim["size"] = int(dim["size"])
    return tfserving_pb2.SignatureDefMap(signature_def={tfserving.SIGNATURE: described})
