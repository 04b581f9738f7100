import pytest
import tritonclient.grpc as triton
from fakes import until
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from serving import network_file, pictures, running
from test_running import post

from twoface.service import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans(monkeypatch):
    """spans() -> those that are over."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing.tracer, "_real_tracer", None)
    return kept.get_finished_spans


def test_each_request_is_a_span_with_its_stages_in_the_callers_trace(tmp_path, spans):
    with running(network_file(tmp_path)) as server:
        assert post(server, traceparent=PARENT).status_code == 200
        image = triton.InferInput("image", [1, 3, 128, 128], "FP32").set_data_from_numpy(pictures()[0])
        with triton.InferenceServerClient(server.grpc) as client:
            client.infer("two_face_model", [image], headers={"traceparent": PARENT})
            with pytest.raises(triton.InferenceServerException):
                client.infer("other", [image], headers={"traceparent": PARENT})
        until(lambda: len([span for span in spans() if span.kind == trace.SpanKind.SERVER]) == 3)
    requests = [span for span in spans() if span.kind == trace.SpanKind.SERVER]
    http, rpc, failed = requests
    assert {f"{span.context.trace_id:032x}" for span in spans()} == {PARENT[3:35]}
    assert {f"{span.parent.span_id:016x}" for span in requests} == {PARENT[36:52]}
    stages = [span.name for span in spans() if span.name in ("decode", "predict", "encode")]
    assert stages == ["decode", "predict", "encode"] * 2 and http.name == "POST /v2/models/{name}/infer"
    assert rpc.name == "oip_grpc/ModelInfer" and rpc.attributes["rpc.response.status_code"] == "OK"
    assert failed.attributes["rpc.response.status_code"] == "NOT_FOUND" and not failed.status.is_ok


def test_without_a_place_to_send_them_nothing_is_set_up(monkeypatch):
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    before = trace.get_tracer_provider()
    tracing.start_tracing()
    assert trace.get_tracer_provider() is before
