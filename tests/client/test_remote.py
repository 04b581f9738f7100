import contextlib
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving import network_file, running

from twoface import Inpainter
from twoface.client import connect, read_key
from twoface.core.errors import InputError, TwoFaceError, Unavailable
from twoface.core.network import OUTPUT_SHAPES, FillModel
from twoface.serving import connections

KEY = "a-key-that-is-long-enough"


@pytest.fixture(params=["http", "grpc"])
def door(request):
    """The URL of a running server, by each protocol."""
    return lambda server: server.url if request.param == "http" else f"grpc://{server.grpc}"


@pytest.fixture
def crops():
    """Inputs of `run` for two crops."""
    rng = np.random.default_rng(1)
    image, reference = rng.random((2, 2, 3, 128, 128), np.float32)
    return image, (rng.random((2, 1, 128, 128)) > 0.7).astype(np.float32), reference


def silent():
    """A socket that takes connections and never answers -> it, its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


def test_answers_are_those_of_the_model_here(server, door, crops, tmp_path):
    here = FillModel(network_file(tmp_path), threads=1).run(*crops)
    there = connect(door(server)).run(*crops)
    assert there.keys() == here.keys()
    assert all(np.abs(there[name] - here[name]).max() < 1 / 255 for name in here)


def test_a_fill_with_the_network_elsewhere(server, door, samples, tmp_path):
    files = {"hole": "eyes", "reference": samples / "reference.jpg"}
    here = Inpainter.load(network_file(tmp_path), threads=1).fill(samples / "photo.jpg", **files)
    there = Inpainter.load(connect(door(server)), threads=1).fill(samples / "photo.jpg", **files)
    assert np.abs(here.photo.pixels.astype(int) - there.photo.pixels).max() <= 1


def test_a_server_that_takes_one_row_a_request_is_asked_for_each(door, crops, tmp_path, monkeypatch):
    here, sent = FillModel(network_file(tmp_path), threads=1).run(*crops), []
    with running(network_file(tmp_path), rows=1, photo_workers=0) as server:
        model = connect(door(server))
        infer = model._door.infer

        def counted(inputs, timeout):
            sent.append(len(inputs["image"]))
            return infer(inputs, timeout)

        monkeypatch.setattr(model._door, "infer", counted)
        for told in ([2, 1, 1], [2, 1, 1, 1, 1]):  # what was refused once is not tried again
            there = model.run(*crops)
            assert all(np.abs(there[name] - here[name]).max() < 1 / 255 for name in here)
            assert sent == told


def test_what_is_too_large_for_a_proxy_is_sent_in_parts(scripted, crops):
    server = scripted((413, {}, b"<html>proxy</html>"), (200, {}, b"{}"))
    with pytest.raises(TwoFaceError, match="not a 'twoface serve'"):
        connect(server.url).run(*crops)
    assert server.asked == 3


def test_several_threads_share_a_model(server, door, crops):
    model = connect(door(server))
    with ThreadPoolExecutor(8) as pool:
        shades = np.linspace(0, 1, 24, dtype=np.float32)
        filled = list(pool.map(lambda shade: model.run(crops[0], crops[1], np.full_like(crops[2], shade)), shades))
    for shade, outputs in zip(shades, filled, strict=True):
        assert np.abs(outputs["fill"] - shade).max() < 1 / 255
    model.close()


def test_ready_and_metadata(server, door):
    model = connect(door(server))
    assert model.ready() is True
    assert model.metadata.get("twoface.format", "3") == "3"
    assert connect(server.url).metadata["twoface.mask"] == "1=hole"


def test_a_wrong_key_is_told_from_an_absent_server(door, tmp_path, crops):
    (tmp_path / "keys").write_text(f"# ours\n{KEY}\n")
    with running(network_file(tmp_path), api_keys=tmp_path / "keys", photo_workers=0) as server:
        assert connect(door(server), read_key(tmp_path / "keys")).run(*crops)
        for key in (None, "another"):
            with pytest.raises(TwoFaceError, match="API key") as error:
                connect(door(server), key).run(*crops)
            assert error.value.code == "wrong_key"
            with pytest.raises(TwoFaceError, match="API key"):
                connect(door(server), key).ready()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_away(scheme, crops):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    model = connect(f"{scheme}://127.0.0.1:{port}", timeout=2)
    with pytest.raises(Unavailable, match="twoface serve") as error:
        model.run(*crops)
    assert error.value.code == "backend_away"
    assert model.ready() is False


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_does_not_answer(scheme, crops):
    listener, port = silent()
    with listener, pytest.raises(Unavailable) as error:
        connect(f"{scheme}://127.0.0.1:{port}", timeout=0.3).run(*crops)
    assert error.value.code == "timeout"


def test_a_server_that_comes_back_is_used_again(crops, tmp_path, door):
    with running(network_file(tmp_path), photo_workers=0) as server:
        model = connect(door(server), timeout=60)
        model.run(*crops)
    assert model.ready() is False
    with pytest.raises(Unavailable):
        model.run(*crops)


BUSY = (429, {"retry-after": "0"}, b'{"error": "full", "code": "busy"}')


def test_busy_is_asked_again_within_the_time(scripted, crops):
    server = scripted(BUSY, BUSY, (200, {}, b"{}"))
    with pytest.raises(TwoFaceError, match="not a 'twoface serve'"):
        connect(server.url).run(*crops)
    assert server.asked == 3
    server = scripted((429, {"retry-after": "60"}, b'{"error": "full", "code": "busy"}'))
    with pytest.raises(Unavailable, match="full") as error:
        connect(server.url, timeout=60).run(*crops)
    assert server.asked == 1 and error.value.retry_after == 60


@pytest.mark.parametrize(
    "answer, kind, code",
    [
        ((503, {}, b'{"error": "not ready"}'), Unavailable, "backend_away"),
        ((502, {}, b"<html>proxy</html>"), Unavailable, "backend_away"),
        ((504, {}, b'{"error": "late"}'), Unavailable, "timeout"),
        ((500, {}, b'{"error": "the network failed"}'), TwoFaceError, ""),
        ((400, {}, b'{"error": "not with this network"}'), InputError, ""),
        ((413, {}, b"<html>proxy</html>"), InputError, ""),
        ((404, {}, b"<html>shop</html>"), TwoFaceError, "not_a_backend"),
        ((302, {"location": "/login"}, b""), TwoFaceError, "not_a_backend"),
        ((200, {}, b"<html>shop</html>"), TwoFaceError, "not_a_backend"),
        ((200, {"inference-header-content-length": "9"}, b'{"outputs'), TwoFaceError, "not_a_backend"),
        ((200, {"inference-header-content-length": "2"}, b"[]"), TwoFaceError, "not_a_backend"),
    ],
)
def test_other_answers_are_asked_once_and_told_as_they_are(scripted, crops, answer, kind, code):
    server, one = scripted(answer), [batch[:1] for batch in crops]
    with pytest.raises(TwoFaceError) as error:
        connect(server.url).run(*one)
    assert type(error.value) is kind and error.value.code == code
    assert server.asked == 1 and "\n" not in str(error.value)


def test_outputs_of_another_shape_or_not_finite_are_refused(scripted, crops):
    def answer(value, spoilt=None):
        arrays = {n: np.full((2, *(s if n != spoilt else (1, 1, 1))), value, "<f4") for n, s in OUTPUT_SHAPES.items()}
        listed = ",".join(f'{{"name": "{n}", "shape": {list(a.shape)}}}' for n, a in arrays.items())
        head = f'{{"outputs": [{listed}]}}'.encode()
        body = head + b"".join(array.tobytes() for array in arrays.values())
        return 200, {"inference-header-content-length": str(len(head))}, body

    assert connect(scripted(answer(0.5)).url).run(*crops)["fill"].mean() == 0.5
    with pytest.raises(TwoFaceError, match="fill is not finite"):
        connect(scripted(answer(np.nan)).url).run(*crops)
    with pytest.raises(TwoFaceError, match="flow is float32"):
        connect(scripted(answer(0.5, "flow")).url).run(*crops)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://x/y", "grpc:///x", ""])
def test_other_addresses_are_refused(url):
    with pytest.raises(InputError, match="not a backend"):
        connect(url)


def test_certificates_and_keys_that_cannot_be_read(tmp_path):
    (tmp_path / "bad").write_text("# no key")
    for scheme in ("https", "grpcs"):
        with pytest.raises(InputError, match="PEM"):
            connect(f"{scheme}://x", ca=tmp_path / "none.pem")
    with pytest.raises(InputError, match="PEM"):
        connect("https://x", ca=tmp_path / "bad")
    for name in ("none", "bad"):
        with pytest.raises(InputError, match="key"):
            read_key(tmp_path / name)


def test_a_timeout_ends_the_wait_not_the_thread(crops):
    listener, port = silent()
    model = connect(f"http://127.0.0.1:{port}", timeout=0.2)
    errors = []

    def ask():
        try:
            model.run(*crops)
        except Unavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    listener.close()
    assert len(errors) == 3


def certificate(folder):
    """A key and a certificate of this machine, which nobody trusts yet -> two paths."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made = ["openssl", "req", "-x509", *options, *names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    return key, cert


def test_an_idle_tls_connection_does_not_hold_up_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "TLS_CLOSE", 0.1)
    key, cert = certificate(tmp_path)
    served = running(network_file(tmp_path), tls_cert=cert, tls_key=key)  # its end fails when it takes 60 s
    with contextlib.ExitStack() as later, served as server:
        plain = later.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        trusted = ssl.create_default_context(cafile=cert)
        wire = later.enter_context(trusted.wrap_socket(plain, server_hostname="localhost"))
        wire.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in wire.recv(1000)


def test_tls(tmp_path, crops):
    key, cert = certificate(tmp_path)
    with running(network_file(tmp_path), tls_cert=cert, tls_key=key) as server:
        for url in (server.url, f"grpcs://{server.grpc}"):
            assert connect(url, ca=cert).run(*crops)
            for ask in (lambda model: model.run(*crops), lambda model: model.ready()):
                with pytest.raises(TwoFaceError, match="not trusted .[a-z][^]]*--ca FILE") as error:
                    ask(connect(url, timeout=60))
                assert error.value.code == "untrusted"
