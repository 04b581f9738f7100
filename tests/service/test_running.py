"""A whole server under load, under attack, and at its end."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from fakes import until
from serving import expected, network_file, on_loop, pictures, running
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from twoface.cli import main
from twoface.core.errors import InputError, TwoFaceError
from twoface.service.app import NOWHERE
from twoface.service.json_tensors import dump_json
from twoface.service.observe import door_of
from twoface.service.server import Server
from twoface.service.settings import Settings
from twoface.serving import server as server_module
from twoface.serving.connections import check_tls
from twoface.web.server import Server as WebServer
from twoface.web.settings import Settings as WebSettings

TWOFACE = (sys.executable, "-c", "import sys; from twoface.cli import main; sys.exit(main())")
INFER = "/v2/models/two_face_model/infer"


def body(seed=0):
    """A binary infer request -> (bytes, headers)."""
    arrays = dict(zip(("image", "reference"), pictures(seed=seed), strict=True))
    inputs = [
        {"name": k, "shape": a.shape, "datatype": "FP32", "parameters": {"binary_data_size": a.nbytes}}
        for k, a in arrays.items()
    ]
    head = json.dumps({"inputs": inputs, "outputs": [{"name": "generated", "parameters": {"binary_data": True}}]})
    raw = b"".join(a.tobytes() for a in arrays.values())
    return head.encode() + raw, {"inference-header-content-length": str(len(head))}


def post(server, seed=0, **headers):
    content, lengths = body(seed)
    return httpx.post(server.url + INFER, content=content, headers={**lengths, **headers}, timeout=60)


def picture_of(answer):
    length = int(answer.headers["inference-header-content-length"])
    return np.frombuffer(answer.content[length:], np.float32).reshape(1, 3, 128, 128)


def metric(server, line):
    found = re.search(rf"^{re.escape(line)} (.*)$", httpx.get(server.url + "/metrics").text, re.M)
    return float(found[1]) if found else 0


def message():
    image, _ = pictures()
    tensor = {"name": "image", "shape": image.shape, "datatype": "FP32"}
    return service_pb2.ModelInferRequest(
        model_name="two_face_model", inputs=[tensor], raw_input_contents=[image.tobytes()]
    )


@contextlib.contextmanager
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_many_callers_at_once_get_their_own_pictures(gated):
    server = gated(batch_size=4)
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(post, server, 0)]
        assert server.gate.began.wait(60)  # alone: whoever comes meanwhile waits
        answers += [pool.submit(post, server, seed) for seed in range(1, 12)]
        until(lambda: metric(server, "twoface_queue_rows") == 11)
        server.gate.opened.set()
        for seed, answer in enumerate(answers):
            np.testing.assert_array_equal(picture_of(answer.result()), expected(*pictures(seed=seed)))
    assert server.gate.rows == [1, 4, 4, 3]


def test_a_full_queue_is_429_with_retry_after_and_resource_exhausted(gated):
    server = gated(queue=1)
    with ThreadPoolExecutor(2) as pool, stub(server) as client:
        accepted = [pool.submit(post, server)]
        assert server.gate.began.wait(60)
        accepted.append(pool.submit(post, server))
        until(lambda: metric(server, "twoface_queue_rows") == 1)
        refused = post(server)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        with pytest.raises(grpc.RpcError) as error:
            client.ModelInfer(message())
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(error.value.trailing_metadata())["retry-after"]) >= 1
        server.gate.opened.set()
        assert [answer.result().status_code for answer in accepted] == [200, 200]


def test_a_deadline_ends_a_request_and_what_waits_is_not_computed(gated):
    server = gated()
    with ThreadPoolExecutor(1) as pool, stub(server) as client:
        first = pool.submit(post, server)
        assert server.gate.began.wait(60)
        assert post(server, **{"x-request-timeout-ms": "30"}).status_code == 504
        with pytest.raises(grpc.RpcError) as error:
            client.ModelInfer(message(), timeout=0.1)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        with triton.InferenceServerClient(server.grpc) as other, pytest.raises(InferenceServerException) as late:
            image = triton.InferInput("image", [1, 3, 128, 128], "FP32").set_data_from_numpy(pictures()[0])
            other.infer("two_face_model", [image], timeout=30_000)
        assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"
        server.gate.opened.set()
        assert first.result().status_code == 200
    assert sum(server.gate.rows) == 1
    assert post(server, **{"x-request-timeout-ms": "0"}).status_code == 504
    assert post(server, **{"x-request-timeout-ms": "soon"}).status_code == 400


def test_the_servers_own_timeout_is_the_longest(gated):
    assert post(gated(timeout=0.05), **{"x-request-timeout-ms": "60000"}).status_code == 504


def test_who_leaves_is_not_computed(gated):
    server = gated()
    with ThreadPoolExecutor(1) as pool, stub(server) as client:
        first = pool.submit(post, server)
        assert server.gate.began.wait(60)
        content, headers = body()
        lines = {"host": "x", "content-length": len(content), **headers}
        head = f"POST {INFER} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        with raw(server) as connection:
            connection.sendall(f"{head}\r\n".encode() + content)
            until(lambda: metric(server, "twoface_queue_rows") == 1)
        until(lambda: metric(server, "twoface_queue_rows") == 0)
        call = client.ModelInfer.future(message())
        until(lambda: metric(server, "twoface_queue_rows") == 1)
        call.cancel()
        until(lambda: metric(server, 'twoface_dropped_total{why="cancelled"}') == 2)
        assert metric(server, "twoface_queue_rows") == 0
        server.gate.opened.set()
        assert first.result().status_code == 200
    assert sum(server.gate.rows) == 1
    until(lambda: metric(server, 'twoface_requests_total{code="499",door="oip_rest"}') == 1)
    until(lambda: metric(server, 'twoface_requests_total{code="CANCELLED",door="oip_grpc"}') == 1)


def test_stopping_finishes_what_was_accepted(gated):
    server = gated()
    with ThreadPoolExecutor(3) as pool, stub(server) as client:
        answers = [pool.submit(post, server) for _ in range(2)]
        call = client.ModelInfer.future(message())
        until(lambda: metric(server, "twoface_queue_rows") == 2)
        server.should_exit = True
        until(lambda: not on_loop(server, lambda: server.config.app.state.engine.ready))
        server.gate.opened.set()
        assert [answer.result().status_code for answer in answers] == [200, 200]
        assert call.result().model_version == "1"
    server.thread.join(60)
    assert not server.thread.is_alive()


def test_stopping_answers_who_has_connected_and_not_asked_yet(tmp_path):
    with running(network_file(tmp_path)) as server, raw(server) as early:
        server.should_exit = True
        until(lambda: not server.servers[0].is_serving())
        with pytest.raises(ConnectionRefusedError):
            raw(server)
        early.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert early.recv(1000).startswith(b"HTTP/1.1 200")


def test_sigterm_drains_and_ends_with_0(tmp_path):
    """The command itself, under load, then SIGTERM: every request that its log knows has its picture."""
    log = tmp_path / "log"
    process, port = command(tmp_path, log)
    content, headers = body()
    outcomes = []

    def keep_asking():
        while True:
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}{INFER}", content=content, headers=headers, timeout=60)
                outcomes.append(answer.status_code)
            except httpx.TransportError:
                return  # nobody listens any more

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(outcomes) > 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    for thread in threads:
        thread.join(60)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["message"] == "drained"
    assert [line["status"] for line in lines if line["message"] == "request"] == outcomes == [200] * len(outcomes)


def command(tmp_path, log):
    """`twoface serve` as a process of its own, its log in a file -> (process, its HTTP port)."""
    line = [*TWOFACE, "serve", "--port", "0", "--grpc-port", "0", "--photo-workers", "0"]
    with open(log, "w") as file:
        process = subprocess.Popen([*line, "--model", str(network_file(tmp_path))], stderr=file)
    until(lambda: "serving on" in log.read_text() or process.poll() is not None)
    return process, int(re.search(r"HTTP port (\d+)", log.read_text())[1])


# Slow and large


def raw(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("hasty")), receive_timeout=1.0, rows=1) as server:
        yield server


@pytest.mark.parametrize("begin", [b"", b"POST /v2 HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_headers_that_never_end_are_cut_off(hasty, begin):
    with raw(hasty) as connection:
        connection.sendall(begin)
        with contextlib.suppress(ConnectionError):
            while connection.recv(100):
                pass


def test_headers_that_never_end_on_a_second_request_are_cut_off(hasty):
    with raw(hasty) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in connection.recv(1000)
        connection.sendall(b"GET /v2/he")
        with contextlib.suppress(ConnectionError):
            while connection.recv(100):
                pass


def test_endless_headers_are_refused(hasty):
    with raw(hasty) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000)
        while connection.recv(100):
            pass
    assert httpx.get(hasty.url + "/v2/health/live").status_code == 200


def test_a_body_that_drips_is_408(hasty):
    with raw(hasty) as connection:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        answer = b""
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"{")
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1000)
                break
        connection.settimeout(60)
        while part := connection.recv(1000):  # until the server closes
            answer += part
    assert answer.startswith(b"HTTP/1.1 408") and b'"error"' in answer


def rss(server):
    return metric(server, "process_resident_memory_bytes")


@pytest.mark.parametrize("announced", [True, False])
def test_100_mb_are_413_and_take_no_memory(hasty, announced):
    before = rss(hasty)

    def pieces():
        for _ in range(100):
            yield bytes(1_000_000)

    headers = {"content-length": "100000000"} if announced else {}
    answer = httpx.post(hasty.url + INFER, content=pieces(), headers=headers, timeout=60)
    assert answer.status_code == 413 and "larger" in answer.json()["error"]
    assert rss(hasty) - before < 40e6
    assert post(hasty).status_code == 200


def test_a_request_cut_short_leaves_the_server_well(hasty):
    content, headers = body()
    with raw(hasty) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[:100_000])
    assert post(hasty).status_code == 200


def paused(server):
    return any(connection.flow.write_paused for connection in server.server_state.connections)


def test_who_does_not_take_the_answer_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "MIN_RATE", 1e9)  # else a body has minutes to come, and an answer to go
    with running(network_file(tmp_path), receive_timeout=2.0) as server:
        image = pictures(16)[0]
        tensor = {"name": "image", "shape": image.shape, "datatype": "UINT8", "data": (image * 255).astype(int).ravel()}
        content = dump_json({"inputs": [tensor]})
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content)
            until(lambda: on_loop(server, paused, server))
            until(lambda: not on_loop(server, paused, server))
            answer = b""
            with contextlib.suppress(ConnectionError):
                while more := connection.recv(1 << 20):
                    answer += more
        assert len(answer) < int(re.search(rb"content-length: (\d+)", answer)[1]), "it was cut off before its end"
        assert post(server).status_code == 200


def test_too_many_bodies_at_once_are_429(tmp_path):
    with running(network_file(tmp_path), concurrency=1) as server, raw(server) as connection:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
        until(lambda: post(server).status_code == 429)
        assert httpx.get(server.url + "/v2/health/live").status_code == 200


# Who may ask


KEY, OTHER = "k" * 20, "o" * 20


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    keys = folder / "keys"
    keys.write_text(f"# two\n{KEY}\n\n{OTHER}\n")
    with running(network_file(folder), api_keys=keys, cors=("https://page.example",)) as server:
        yield server


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": OTHER}, {"authorization": f"bearer {OTHER}"}]
)
def test_a_key_opens(locked, headers):
    assert httpx.get(locked.url + "/v2", headers=headers).status_code == 200
    assert post(locked, **headers).status_code == 200
    with stub(locked) as client:
        assert client.ModelInfer(message(), metadata=list(headers.items())).model_version == "1"


@pytest.mark.parametrize("headers", [{}, {"authorization": KEY}, {"x-api-key": KEY[:-1]}, {"authorization": "Bearer"}])
def test_without_one_it_is_401_and_unauthenticated(locked, headers):
    for path in ("/v2", "/metrics", "/v1/models/two_face_model", "/examples/oip.json"):
        answer = httpx.get(locked.url + path, headers=headers)
        assert answer.status_code == 401 and "API key" in answer.json()["error"]
    assert post(locked, **headers).status_code == 401
    with stub(locked) as client, pytest.raises(grpc.RpcError) as error:
        client.ModelInfer(message(), metadata=list(headers.items()))
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "path",
    ["/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/two_face_model", "/v1/models/two_face_model", "/metrics",
     "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"],
)  # fmt: skip
def test_head_and_options(server, path):
    whole, head = httpx.get(server.url + path), httpx.head(server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    options = httpx.options(server.url + path)
    assert options.status_code == 204 and options.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_and_options_of_other_paths(locked, server):
    assert httpx.options(server.url + INFER).headers["allow"] == "OPTIONS, POST"
    assert httpx.head(server.url + INFER).status_code == 405
    assert httpx.options(server.url + "/nothing").status_code == httpx.head(server.url + "/nothing").status_code == 404
    assert httpx.head(locked.url + "/metrics").status_code == 401


@pytest.mark.parametrize("path", ["/", "/v1/fil", "/v1/references"])
def test_a_path_that_is_none_is_told_where_they_are(server, path):
    answer = httpx.post(server.url + path)
    assert (answer.status_code, answer.json()) == (404, {"error": NOWHERE})


def test_health_needs_no_key(locked):
    for path in ("/v2/health/live", "/v2/health/ready", "/docs"):
        assert httpx.get(locked.url + path).status_code == 200
    with stub(locked) as client:
        assert client.ServerReady(service_pb2.ServerReadyRequest()).ready


def test_the_page_of_the_api_can_be_told_a_key(locked, server):
    for where, schemes in ((locked, {"HTTPBearer"}), (server, set())):
        document = httpx.get(where.url + "/openapi.json").json()
        assert set(document["components"].get("securitySchemes", {})) == schemes


def test_only_listed_origins_may_ask_from_a_page(locked, server):
    asks = {"origin": "https://page.example", "access-control-request-method": "POST"}
    allowed = httpx.options(locked.url + INFER, headers=asks)
    assert allowed.headers["access-control-allow-origin"] == "https://page.example"
    for where, origin in ((locked, "https://other.example"), (server, "https://page.example")):
        answer = httpx.options(where.url + INFER, headers={**asks, "origin": origin})
        assert "access-control-allow-origin" not in answer.headers


def test_another_address_needs_keys():
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
        with pytest.raises(InputError, match="--api-key"):
            Settings(host=host)
    for host in ("127.0.0.1", "::1", "localhost"):
        Settings(host=host)
    with pytest.raises(InputError, match="both"):
        Settings(tls_cert="cert.pem")


def test_a_port_that_is_taken_is_an_error_of_one_line(server):
    with pytest.raises(TwoFaceError, match="cannot listen on 127.0.0.1"):
        Server(Settings(port=server.port))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", *options, *names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    return cert, key


def test_files_of_tls_that_cannot_be_used_are_named_at_once(tmp_path, certificate):
    cert, key = certificate
    other, text, locked = tmp_path / "other.pem", tmp_path / "text.pem", tmp_path / "locked.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(other), "2048"], check=True, capture_output=True)
    text.write_text("no certificate")
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(cert.read_bytes()[:200])
    for files, words in (
        ((tmp_path / "no.pem", key), "--tls-cert .*no.pem: No such file"),
        ((cert, tmp_path / "no.pem"), "--tls-key .*no.pem: No such file"),
        ((text, key), "--tls-cert .*text.pem holds no certificate: give a PEM file"),
        ((key, cert), "--tls-cert .*key.pem holds no certificate: it is in .*cert.pem: swap"),
        ((cert, text), "--tls-key .*text.pem holds no private key"),
        ((cert, locked), "locked with a password"),
        ((cert, other), "--tls-key .*other.pem is not the key of"),
        ((damaged, key), "damaged.pem .*is damaged"),
    ):
        with pytest.raises(InputError, match=words):
            check_tls(*files)
    for kind in (Settings, WebSettings):
        with pytest.raises(InputError, match="swap"):
            (Server if kind is Settings else WebServer)(kind(port=0, tls_cert=key, tls_key=cert))


def test_tls_on_both_doors(tmp_path, certificate):
    cert, key = certificate
    with running(network_file(tmp_path), tls_cert=cert, tls_key=key) as server:
        answer = httpx.get(server.url + "/v2/health/ready", verify=ssl.create_default_context(cafile=cert))
        assert answer.json() == {"ready": True}
        trusted = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(server.grpc, trusted) as channel:
            client = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert client.ServerReady(service_pb2.ServerReadyRequest(), timeout=60).ready


# What it tells


@pytest.mark.parametrize(
    ("path", "door"), [("/v1/references", "references"), ("/v1/fill", "photos"), (INFER, "oip_rest"), ("/x", "other")]
)
def test_each_door_has_its_name_in_the_figures(path, door):
    assert door_of(path) == door


def test_ids_go_through_and_are_logged_without_pictures(server, caplog):
    caplog.set_level("INFO")
    assert post(server, **{"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, 'a"b'):
        assert post(server, **{"x-request-id": bad}).headers["x-request-id"] != bad
    (line,) = [r for r in caplog.records if getattr(r, "fields", {}).get("status") == 200][:1]
    assert line.fields["door"] == "oip_rest" and line.fields["path"] == INFER
    assert max(len(record.getMessage()) + len(str(getattr(record, "fields", ""))) for record in caplog.records) < 500


def test_metrics_tell_doors_stages_and_batches(gated):
    server = gated(batch_size=8)
    server.gate.opened.set()
    post(server)
    httpx.post(server.url + "/v1/models/two_face_model:predict", content=b"x")
    with stub(server) as client:
        client.ModelInfer(message())
    assert metric(server, 'twoface_requests_total{code="200",door="oip_rest"}') == 1
    assert metric(server, 'twoface_requests_total{code="400",door="tfserving"}') == 1
    assert metric(server, 'twoface_requests_total{code="OK",door="oip_grpc"}') == 1
    for stage, count in {"queue": 2, "compute": 2, "encode": 2, "decode": 3, "receive": 2}.items():
        assert metric(server, f'twoface_stage_seconds_count{{stage="{stage}"}}') == count
    assert metric(server, 'twoface_batch_rows_bucket{le="1.0"}') == 2
    assert metric(server, "twoface_ready") == metric(server, "twoface_model_version") == 1


def test_a_fault_of_ours_is_500_without_its_details(server, monkeypatch):
    def fault(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(server.config.app.state.engine, "predict", fault)
    answer = post(server)
    assert answer.status_code == 500 and "secret" not in answer.text and answer.json()["error"]


def test_the_examples_run(server):
    for name, path in (("tfserving", "/v1/models/two_face_model:predict"), ("oip", INFER)):
        example = httpx.get(f"{server.url}/examples/{name}.json")
        assert httpx.post(server.url + path, content=example.content).status_code == 200
    assert httpx.get(server.url + "/examples/other.json").status_code == 422


def test_the_page_of_the_api_needs_nobody_else(server):
    page = httpx.get(server.url + "/docs").text
    assert "swagger" in page and not re.search(r"""(src|href)="https?://""", page)


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_page_of_the_api_works_under_a_proxys_prefix(server, page):
    text = httpx.get(server.url + page).text
    links = re.findall(r"""(?:src|href|spec-url)="([^"#]+)"|url: '([^']+)'""", text)
    assert len(links) >= 3
    for link in map("".join, links):
        assert not link.startswith("/") and httpx.get(f"{server.url}/{link}").status_code == 200
    assert httpx.get(server.url + "/openapi.json").json()["servers"] == [{"url": "."}]


def test_without_a_gpu_cuda_says_that(capsys):
    assert main(["serve", "--port", "0", "--no-grpc", "--device", "cuda"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("twoface: no GPU") and "--device cpu" in said


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    line = [*TWOFACE, "serve", "--port", "0", "--grpc-port", "0", "--model"]
    done = subprocess.run([*line, str(tmp_path / "no.onnx")], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("twoface: no network to serve")
    assert "Traceback" not in done.stderr
