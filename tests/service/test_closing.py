"""What `--replicas` does at its end, without Ray."""

import asyncio
import threading
from types import SimpleNamespace

import httpx
import pytest
import tritonclient.grpc as triton
import uvicorn
from fakes import until
from serving import network_file, on_loop, running
from test_running import message, post, stub
from tritonclient.utils import InferenceServerException

from twoface.core.errors import Unavailable
from twoface.service import closing
from twoface.service.closing import Closable, Closing, close, has_left, leave
from twoface.service.oip_grpc import InferenceServicer
from twoface.serving.connections import bind


def test_what_is_in_work_is_finished_and_told_before_the_end(tmp_path):
    here, waited = Closing(tmp_path), []
    with here.call():
        closer = threading.Thread(target=lambda: waited.append(close(tmp_path, 1, 20)))
        closer.start()
        until(lambda: here.closed)
        here.tell()
        with pytest.raises(Unavailable) as error, here.call():
            pass
        assert error.value.retry_after == 1 and not list(tmp_path.glob("idle-*")) and not waited
    here.tell()
    closer.join(60)
    assert waited and Closing(None).closed is False


def test_who_does_not_tell_is_not_waited_for_for_ever(tmp_path):
    close(tmp_path, 1, 0.1)
    assert (tmp_path / closing.CLOSED).exists()


def test_who_has_connected_is_answered_when_the_doors_of_ray_close():
    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    async def life():
        listener = bind("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(hello, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        started = asyncio.create_task(asyncio.sleep(0.3, (serving, server)))
        proxy = SimpleNamespace(_start_http_server_task=started, _start_grpc_server_task=None)
        await started
        place = listener.getsockname()
        reader, writer = await asyncio.open_connection(*place)
        leave(proxy, 5)
        while listener.fileno() >= 0 and server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*place)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200" in await reader.readline() and not has_left(proxy)
        writer.close()
        await asyncio.wait_for(serving, 5)
        assert has_left(proxy)

    asyncio.run(life())


def test_a_closed_server_is_503_and_unavailable_never_404(tmp_path, monkeypatch):
    here = Closing(tmp_path)
    monkeypatch.setattr(InferenceServicer, "closing", here)
    with running(network_file(tmp_path)) as server:
        app = server.config.app
        app.middleware_stack = None
        app.user_middleware.clear()
        app.add_middleware(Closable, closing=here)
        assert post(server).status_code == 200
        on_loop(server, close, tmp_path, 0, 0)
        for answer in (post(server), httpx.get(server.url + "/v2/health/ready"), httpx.get(server.url + "/nothing")):
            assert answer.status_code == 503 and answer.json()["code"] == "stopping"
            assert answer.headers["retry-after"] == "1"
        with stub(server) as client, pytest.raises(Exception, match="stopping") as error:
            client.ModelInfer(message())
        assert error.value.code().name == "UNAVAILABLE"
        with triton.InferenceServerClient(server.grpc) as client, pytest.raises(InferenceServerException):
            client.is_server_live()
