"""The Open Inference Protocol's gRPC door, with the standard health service and reflection."""

import asyncio
import functools
import time

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.errors import InputError, TwoFaceError, Unavailable
from twoface.service import oip
from twoface.service.auth import NO_KEY, key_of
from twoface.service.core import MODEL, UnknownModel
from twoface.service.logs import begin_request
from twoface.service.observe import record

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
OPEN_METHODS = ("ServerLive", "ServerReady")
CONTENTS = {"FP32": "fp32_contents", "UINT8": "uint_contents"}


class GrpcDoor:
    """The gRPC server. state: has `engine`, `metrics` and `keys`, as an app of `build_app`."""

    def __init__(self, state, settings):
        options = [
            ("grpc.max_receive_message_length", settings.message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # else two servers share a port and nobody notices
        ]
        self._server = grpc.aio.server(
            interceptors=[_Readable()], options=options, maximum_concurrent_rpcs=settings.concurrency
        )
        servicer = InferenceServicer(state.engine, state.metrics, settings, state.keys)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(_Health(state.engine), self._server)
        reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), self._server)
        self._settings = settings

    async def start(self):
        """-> the port. Raises TwoFaceError when it is taken."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if settings.tls_cert:
                port = self._server.add_secure_port(address, _credentials(settings))
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise TwoFaceError(f"cannot listen on {address} for gRPC: choose another --grpc-port") from error
        await self._server.start()
        return port

    async def stop(self, grace):
        """Take nothing new and finish what runs, within `grace` seconds."""
        await self._server.stop(grace)


def answered(method):
    """A servicer's method with its key checked, its errors turned into statuses, counted and logged."""

    @functools.wraps(method)
    async def answer(self, request, grpc_context):
        metadata = dict(grpc_context.invocation_metadata() or ())
        begin_request(metadata.get("x-request-id"))
        start, code = time.perf_counter(), grpc.StatusCode.INTERNAL
        try:
            if request is None:
                raise InputError("the message cannot be read: it is cut short, or not of this protocol")
            if self.keys and method.__name__ not in OPEN_METHODS and not self.keys.valid(key_of(metadata)):
                code = _fail(grpc_context, grpc.StatusCode.UNAUTHENTICATED, NO_KEY)
                return REPLIES[method.__name__]()
            reply = await method(self, request, grpc_context)
            code = grpc.StatusCode.OK
            return reply
        except TwoFaceError as error:
            if getattr(error, "retry_after", None) is not None:
                grpc_context.set_trailing_metadata([("retry-after", str(error.retry_after))])
            code = _fail(grpc_context, grpc_status(error), " ".join(str(error).split()))
            return REPLIES[method.__name__]()
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            record(self.metrics, "oip_grpc", code.name, time.perf_counter() - start, {"method": method.__name__})

    return answer


class InferenceServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The methods of the protocol on an `Engine`; keys: `Keys`, or None where none is needed."""

    def __init__(self, engine, metrics, settings, keys=None):
        self.engine, self.metrics, self.settings, self.keys = engine, metrics, settings, keys

    @answered
    async def ServerLive(self, request, grpc_context):
        return service_pb2.ServerLiveResponse(live=True)

    @answered
    async def ServerReady(self, request, grpc_context):
        return service_pb2.ServerReadyResponse(ready=self.engine.ready)

    @answered
    async def ModelReady(self, request, grpc_context):
        self._served(request.name, request.version)
        return service_pb2.ModelReadyResponse(ready=self.engine.ready)

    @answered
    async def ServerMetadata(self, request, grpc_context):
        return service_pb2.ServerMetadataResponse(**oip.SERVER)

    @answered
    async def ModelMetadata(self, request, grpc_context):
        served = self._served(request.name, request.version)
        said = oip.model_metadata(served, self.engine.versions, MODEL)
        said.pop("properties")  # the message has no place for them
        return service_pb2.ModelMetadataResponse(**said)

    @answered
    async def ModelConfig(self, request, grpc_context):
        self._served(request.name, request.version)
        config = {"config": oip.model_config(self.settings, MODEL)}
        return ParseDict(config, service_pb2.ModelConfigResponse())

    @answered
    async def ModelInfer(self, request, grpc_context):
        version = self._served(request.model_name, request.model_version).version
        with self.engine.stage("decode"):
            crops, names = read_infer(request, self.settings.rows)
        outputs, version = await self.engine.predict(crops, version, _seconds(request, grpc_context))
        with self.engine.stage("encode"):
            return write_infer(request, outputs, names, version)

    def _served(self, name, version):
        return self.engine.served(oip.parse_version(version), name)


REPLIES = {
    name: getattr(service_pb2, f"{name}Response")
    for name in (*OPEN_METHODS, "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig", "ModelInfer")
}


def read_infer(request, rows):
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


def write_infer(request, outputs, names, version):
    """-> ModelInferResponse, its tensors in raw_output_contents."""
    reply = service_pb2.ModelInferResponse(model_name=MODEL, model_version=str(version), id=request.id)
    for name in names:
        array = outputs[name]
        reply.outputs.add(name=name, datatype=oip.datatype(array), shape=array.shape)
        reply.raw_output_contents.append(array.tobytes())
    return reply


def grpc_status(error):
    """The gRPC status of a TwoFaceError."""
    if isinstance(error, UnknownModel):
        return grpc.StatusCode.NOT_FOUND
    if isinstance(error, InputError):
        return grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, Unavailable):
        named = {"busy": grpc.StatusCode.RESOURCE_EXHAUSTED, "timeout": grpc.StatusCode.DEADLINE_EXCEEDED}
        return named.get(error.code, grpc.StatusCode.UNAVAILABLE)
    return grpc.StatusCode.INTERNAL


class _Readable(grpc.aio.ServerInterceptor):
    """Hands the servicer None for a message that cannot be read, where gRPC would log a fault and answer UNKNOWN."""

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)
        if handler is None or not details.method.startswith(f"/{SERVICE}/"):
            return handler
        return handler._replace(request_deserializer=functools.partial(_parse, handler.request_deserializer))


class _Health(health_pb2_grpc.HealthServicer):
    """grpc.health.v1, for the probes that know no Open Inference Protocol."""

    def __init__(self, engine):
        self._engine = engine

    async def Check(self, request, context):
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if self._engine.ready else status.NOT_SERVING)


def _parse(read, data):
    try:
        return read(data)
    except DecodeError:
        return None


def _from_contents(tensor, dtype, shape):
    numbers = np.array(getattr(tensor.contents, CONTENTS[tensor.datatype]))
    if numbers.size != np.prod(shape):
        field = CONTENTS[tensor.datatype]
        raise InputError(f"{tensor.name} has {numbers.size} numbers in {field}: its shape makes {np.prod(shape)}")
    if tensor.datatype == "UINT8" and numbers.max() > 255:
        raise InputError(f"{tensor.name} holds values above 255")
    return numbers.astype(dtype).reshape(shape)


def _seconds(request, grpc_context):
    """The nearer of the call's deadline and Triton's parameter timeout, in seconds, or None."""
    parameter = request.parameters["timeout"].int64_param if "timeout" in request.parameters else 0
    remaining = getattr(grpc_context, "time_remaining", lambda: None)  # under Ray its proxy keeps the deadline
    return oip.nearer(remaining(), oip.timeout(parameter))


def _fail(grpc_context, code, text):
    grpc_context.set_code(code)
    grpc_context.set_details(text)
    return code


def _credentials(settings):
    with open(settings.tls_key, "rb") as key, open(settings.tls_cert, "rb") as cert:
        return grpc.ssl_server_credentials([(key.read(), cert.read())])
