"""Open Inference Protocol over gRPC, with the messages of tritonclient."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.client.http import MODEL, File, late, no_connection, not_a_backend, wrong_key
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.network import OUTPUT_SHAPES

# A server that comes back is found within seconds; gRPC's own pauses between attempts grow to two minutes.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_reconnect_backoff_ms", 2000)]


class GrpcDoor:
    """As `twoface.client.remote.RestDoor`. url: grpc://HOST:PORT, or grpcs://... for TLS."""

    def __init__(self, url: str, api_key: str | None, ca: File | None) -> None:
        self.url = url
        self._metadata = [("authorization", f"Bearer {api_key}")] if api_key else []
        address, options = urlsplit(url).netloc, OPTIONS
        if url.startswith("grpcs://"):
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(_read(ca)), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def infer(self, inputs: Mapping[str, NDArray[np.float32]], timeout: float) -> dict[str, NDArray[np.float32]]:
        """{name: float32 array} -> {name: float32 array}."""
        request = service_pb2.ModelInferRequest(model_name=MODEL)
        for name, array in inputs.items():
            request.inputs.add(name=name, datatype="FP32", shape=array.shape)
            request.raw_input_contents.append(array.tobytes())
        for name in OUTPUT_SHAPES:
            request.outputs.add(name=name)
        reply = self._ask(self._stub.ModelInfer, request, timeout)
        pairs = zip(reply.outputs, reply.raw_output_contents, strict=False)
        try:
            return {tensor.name: np.frombuffer(raw, "<f4").reshape(tensor.shape) for tensor, raw in pairs}
        except ValueError as error:
            raise not_a_backend(self.url) from error

    def metadata(self, timeout: float) -> dict[str, str]:
        self._ask(self._stub.ModelMetadata, service_pb2.ModelMetadataRequest(name=MODEL), timeout)
        return {}  # the message has no place for them

    def ready(self, timeout: float) -> bool:
        reply = self._ask(self._stub.ModelReady, service_pb2.ModelReadyRequest(name=MODEL), timeout)
        return bool(reply.ready)

    def close(self) -> None:
        self._channel.close()

    def _ask(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _meaning(error, self.url) from error


def _meaning(error: Any, url: str) -> TwoFaceError:
    """The error that a status means."""
    code, text = error.code(), f"{url}: {error.details()}"
    if code == grpc.StatusCode.UNAVAILABLE:
        return no_connection(url, error.details())
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:  # gRPC's own refusal: not busy
        return InputError(text)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Unavailable(text, code="busy", retry_after=_seconds(error))
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return late(url)
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return wrong_key(url)
    if code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN):
        return not_a_backend(url)
    return (InputError if code == grpc.StatusCode.INVALID_ARGUMENT else TwoFaceError)(text)


def _seconds(error: Any) -> float | None:
    given = dict(error.trailing_metadata() or ()).get("retry-after", "")
    return float(given) if given.isascii() and given.isdecimal() else None


def _read(ca: File | None) -> bytes | None:
    if ca is None:
        return None
    try:
        with open(ca, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"cannot read the certificates in {ca} ({error.strerror}): give a PEM file") from error
