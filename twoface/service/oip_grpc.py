"""The Open Inference Protocol's gRPC door."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.core.errors import InputError
from twoface.service import oip
from twoface.service.closing import Closing
from twoface.service.engine import MODEL, Engine, Served
from twoface.service.metrics import Metrics
from twoface.service.rpc import answered, call_seconds
from twoface.service.settings import Settings
from twoface.service.tensors import Array, Crops
from twoface.serving.auth import Keys

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
CONTENTS = {"FP32": "fp32_contents", "UINT8": "uint_contents"}


class InferenceServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The methods of the protocol on an `Engine`; keys: `Keys`, or None where none is needed."""

    door, closing = "oip_grpc", Closing()

    def __init__(self, engine: Engine, metrics: Metrics, settings: Settings, keys: Keys | None = None) -> None:
        self.engine, self.metrics, self.settings, self.keys = engine, metrics, settings, keys

    @answered(service_pb2.ServerLiveResponse, needs_key=False)
    async def ServerLive(self, request: Any, grpc_context: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    @answered(service_pb2.ServerReadyResponse, needs_key=False)
    async def ServerReady(self, request: Any, grpc_context: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=self.engine.ready)

    @answered(service_pb2.ModelReadyResponse)
    async def ModelReady(self, request: Any, grpc_context: Any) -> Any:
        self._served(request.name, request.version)
        return service_pb2.ModelReadyResponse(ready=self.engine.ready)

    @answered(service_pb2.ServerMetadataResponse)
    async def ServerMetadata(self, request: Any, grpc_context: Any) -> Any:
        return service_pb2.ServerMetadataResponse(**oip.SERVER)

    @answered(service_pb2.ModelMetadataResponse)
    async def ModelMetadata(self, request: Any, grpc_context: Any) -> Any:
        served = self._served(request.name, request.version)
        said = oip.model_metadata(served, self.engine.versions, MODEL)
        said.pop("properties")  # the message has no place for them
        return service_pb2.ModelMetadataResponse(**said)

    @answered(service_pb2.ModelConfigResponse)
    async def ModelConfig(self, request: Any, grpc_context: Any) -> Any:
        self._served(request.name, request.version)
        config = {"config": oip.model_config(self.settings, MODEL)}
        return ParseDict(config, service_pb2.ModelConfigResponse())

    @answered(service_pb2.ModelStatisticsResponse)
    async def ModelStatistics(self, request: Any, grpc_context: Any) -> Any:
        version = oip.parse_version(request.version)
        said = oip.statistics(self.engine, version, request.name or MODEL)
        return ParseDict(said, service_pb2.ModelStatisticsResponse())

    @answered(service_pb2.RepositoryIndexResponse)
    async def RepositoryIndex(self, request: Any, grpc_context: Any) -> Any:
        models = oip.repository_index(self.engine, request.ready)
        return service_pb2.RepositoryIndexResponse(models=models)

    @answered(service_pb2.ModelInferResponse)
    async def ModelInfer(self, request: Any, grpc_context: Any) -> Any:
        version = self._served(request.model_name, request.model_version).version
        with self.engine.stage("decode", version):
            crops, names = read_infer(request, self.settings.rows)
        outputs, version = await self.engine.predict(crops, version, _seconds(request, grpc_context))
        with self.engine.stage("encode", version):
            return write_infer(request, outputs, names, version)

    def _served(self, name: str, version: str) -> Served:
        return self.engine.served(oip.parse_version(version), name)


def read_infer(request: Any, rows: int) -> tuple[Crops, list[str]]:
    """A ModelInferRequest -> (Crops, names of the outputs that are wanted). Raises InputError."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents: one for each")
    arrays = []
    for number, tensor in enumerate(request.inputs[: len(oip.INPUTS) + 1]):
        shape = list(tensor.shape[:8])
        dtype = oip.expect(tensor.name, tensor.datatype, shape, rows)
        oip.refuse_parameters(tensor.parameters)
        if raw:
            arrays.append((tensor.name, oip.from_bytes(raw[number], tensor.name, dtype, shape)))
        else:
            arrays.append((tensor.name, _from_contents(tensor, dtype, shape)))
    for output in request.outputs:
        oip.refuse_parameters(output.parameters)
    return oip.read_inputs(arrays, rows), oip.check_outputs([output.name for output in request.outputs])


def write_infer(request: Any, outputs: dict[str, Array], names: Sequence[str], version: int) -> Any:
    """-> ModelInferResponse, its tensors in raw_output_contents."""
    reply = service_pb2.ModelInferResponse(model_name=MODEL, model_version=str(version), id=request.id)
    for name in names:
        array = outputs[name]
        reply.outputs.add(name=name, datatype=oip.datatype(array), shape=array.shape)
        reply.raw_output_contents.append(array.tobytes())
    return reply


def _from_contents(tensor: Any, dtype: np.dtype[Any], shape: list[int]) -> Array:
    numbers: Array = np.array(getattr(tensor.contents, CONTENTS[tensor.datatype]))
    if numbers.size != np.prod(shape):
        field = CONTENTS[tensor.datatype]
        raise InputError(f"{tensor.name} has {numbers.size} numbers in {field}: its shape makes {np.prod(shape)}")
    if tensor.datatype == "UINT8" and numbers.max() > 255:
        raise InputError(f"{tensor.name} holds values above 255")
    return numbers.astype(dtype).reshape(shape)


def _seconds(request: Any, grpc_context: Any) -> float | None:
    """The nearer of the call's deadline and Triton's parameter timeout, in seconds, or None."""
    parameter = request.parameters["timeout"].int64_param if "timeout" in request.parameters else 0
    return oip.nearer(call_seconds(grpc_context), oip.timeout(parameter))
