"""The web application in front of a `twoface serve` that goes away and comes back."""

import asyncio
import contextlib
import threading
from functools import partial

import pytest
from fakes import until, write_network
from remote import KEY, remote_studio
from web_server import fill, fill_request, good, mask_text, problem, running, upload

from twoface.core.errors import TwoFaceError
from twoface.service.server import Server
from twoface.service.settings import Settings
from twoface.web.server import Server as WebServer
from twoface.web.settings import Settings as Web


@contextlib.contextmanager
def backend(folder, **ports):
    """A `twoface serve` with a key -> it, its ports bound."""
    write_network(folder / "served.onnx", weight=1.0)
    (folder / "keys").write_text(KEY)
    settings = Settings(
        **{"port": 0, "grpc_port": 0, "photo_workers": 0, "drain": 1.0, **ports},
        model=folder / "served.onnx",
        api_keys=folder / "keys",
    )
    server = Server(settings)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    until(lambda: server.grpc_port or not thread.is_alive())
    assert thread.is_alive()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_a_backend_that_dies_and_comes_back(tmp_path, door):
    with contextlib.ExitStack() as first:
        server = first.enter_context(backend(tmp_path))
        ports = {"port": server.port, "grpc_port": server.grpc_port}
        url = f"http://127.0.0.1:{server.port}" if door == "http" else f"grpc://127.0.0.1:{server.grpc_port}"
        options = {"backend": url, "backend_key": tmp_path / "keys"}
        with running(tmp_path, partial(remote_studio, url), **options) as client:
            status = good(client.get("api/status"))
            assert (status["ready"], status["backend"]) == (True, url)
            photo = upload(client)
            fill(client, photo)

            first.close()
            problem(client.post("api/fill", json=fill_request(photo)), 503, "backend_away")
            assert good(client.get("api/status"))["ready"] is False
            assert upload(client)["faces"], "what needs no network goes on"

            with backend(tmp_path, **ports):
                until(lambda: client.post("api/fill", json=fill_request(photo)).status_code == 200)
                until(lambda: good(client.get("api/status"))["ready"])


def test_a_backend_that_is_away_at_the_start(tmp_path):
    url = "http://127.0.0.1:9"
    with running(tmp_path, partial(remote_studio, url), backend=url) as client:
        assert good(client.get("api/status"))["ready"] is False
        problem(client.post("api/fill", json=fill_request(upload(client), mask=mask_text())), 503, "backend_away")


def test_a_key_that_the_backend_does_not_know_is_said_at_the_start(tmp_path):
    (tmp_path / "other").write_text("f" * 16)
    with backend(tmp_path) as server:
        settings = Web(port=0, backend=f"http://127.0.0.1:{server.port}", backend_key=tmp_path / "other")
        with pytest.raises(TwoFaceError, match="key"):
            asyncio.run(WebServer(settings).serve())
