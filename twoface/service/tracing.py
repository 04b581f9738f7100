"""Traces by OpenTelemetry: a span for each request, and in it one for each of its stages.

FastAPI makes those of HTTP; here are those of gRPC and of the stages. Without `start_tracing` none is kept.
"""

import os
from collections.abc import Mapping
from contextvars import Token

from opentelemetry import context, propagate, trace

from twoface.core.errors import TwoFaceError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
tracer = trace.get_tracer("twoface")
Begun = tuple[trace.Span, Token[context.Context]]


def start_tracing() -> None:
    """Send traces by OTLP over HTTP where OpenTelemetry's environment variables say, if they say it.

    Raises TwoFaceError when what this needs is not installed.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TwoFaceError(f"{ENDPOINTS[1]} is set, but traces need more: pip install -e .[traces]") from error
    if not isinstance(trace.get_tracer_provider(), TracerProvider):  # else it is done
        named = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "twoface")})
        provider = TracerProvider(resource=named)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


def begin_span(name: str, metadata: Mapping[str, str | bytes]) -> Begun:
    """A span of a gRPC call, as the child of the caller's in its metadata -> what `end_span` takes."""
    parent = propagate.extract({key: value for key, value in metadata.items() if isinstance(value, str)})
    span = tracer.start_span(name, parent, trace.SpanKind.SERVER)
    return span, context.attach(trace.set_span_in_context(span, parent))


def end_span(begun: Begun, code: str) -> None:
    """code: the name of the call's status."""
    span, token = begun
    span.set_attribute("rpc.response.status_code", code)
    if code != "OK":
        span.set_status(trace.StatusCode.ERROR)
    context.detach(token)
    span.end()
