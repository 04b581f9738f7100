"""The gRPC server: the doors of the Open Inference Protocol and TensorFlow Serving, health service and reflection."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tritonclient.grpc import service_pb2_grpc

from twoface.core.errors import TwoFaceError
from twoface.service import oip_grpc, tfserving_grpc
from twoface.service.engine import Engine
from twoface.service.settings import Settings
from twoface.service.tensors import message_bytes

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
OURS = (oip_grpc.SERVICE, *tfserving_grpc.SERVICES)
LOOK = 0.2  # seconds between two looks at the health that is watched


class GrpcDoor:
    """The gRPC server. state: has `engine`, `metrics` and `keys`, as an app of `build_app`."""

    def __init__(self, state: Any, settings: Settings) -> None:
        options = [
            ("grpc.max_receive_message_length", message_bytes(settings.rows)),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # else two servers share a port and nobody notices
        ]
        self._server = grpc.aio.server(
            interceptors=[_Readable()], options=options, maximum_concurrent_rpcs=settings.concurrency
        )
        servicer = oip_grpc.InferenceServicer(state.engine, state.metrics, settings, state.keys)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        health = _Health(state.engine, watchers=settings.concurrency // 4)
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        prediction = tfserving_grpc.PredictionServicer(state.engine, state.metrics, settings, state.keys)
        tfserving_grpc.add_servicer(prediction, self._server)
        reflection.enable_server_reflection((*OURS, HEALTH, reflection.SERVICE_NAME), self._server)
        self._settings = settings

    async def start(self) -> int:
        """-> the port. Raises TwoFaceError when it is taken."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if settings.tls_cert:
                port: int = self._server.add_secure_port(address, _credentials(settings))
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise TwoFaceError(f"cannot listen on {address} for gRPC: choose another --grpc-port") from error
        await self._server.start()
        return port

    async def stop(self, grace: float) -> None:
        """Take nothing new and finish what runs, within `grace` seconds."""
        await self._server.stop(grace)


class _Readable(grpc.aio.ServerInterceptor):
    """Hands the servicer None for a message that cannot be read, where gRPC would log a fault and answer UNKNOWN."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.split("/")[1] not in OURS:
            return handler
        return handler._replace(request_deserializer=functools.partial(_parse, handler.request_deserializer))


class _Health(health_pb2_grpc.HealthServicer):
    """grpc.health.v1, for the probes that know no Open Inference Protocol. watchers: at most, of all calls."""

    def __init__(self, engine: Engine, watchers: int) -> None:
        self._engine, self._free = engine, watchers

    async def Check(self, request: Any, context: Any) -> Any:
        if request.service not in ("", *OURS):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Says it at once, and again whenever it changes, until the server leaves."""
        if not self._free:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already")
        self._free -= 1
        try:
            said = over = None
            while not over:  # else the open stream would hold up the end
                status, over = self._status(request.service), self._engine.leaving
                if status != said:
                    yield health_pb2.HealthCheckResponse(status=status)
                said = status
                await asyncio.sleep(LOOK)
        finally:
            self._free += 1

    def _status(self, service: str) -> Any:
        status = health_pb2.HealthCheckResponse
        if service not in ("", *OURS):
            return status.SERVICE_UNKNOWN
        return status.SERVING if self._engine.ready else status.NOT_SERVING


def _parse(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError:
        return None


def _credentials(settings: Settings) -> Any:
    assert settings.tls_key and settings.tls_cert
    with open(settings.tls_key, "rb") as key, open(settings.tls_cert, "rb") as cert:
        return grpc.ssl_server_credentials([(key.read(), cert.read())])
