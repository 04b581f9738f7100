import asyncio
import os
import signal
from types import SimpleNamespace

import httpx
import pytest

from twoface.serving.server import Server, stop_on_signals

SETTINGS = SimpleNamespace(
    host="127.0.0.1", port=0, tls_cert=None, tls_key=None, receive_timeout=5.0, drain=1.0
)  # fmt: skip


@pytest.fixture
def handlers():
    """The handlers of signals are put back behind the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def test_the_port_is_known_before_it_serves():
    server = Server(hello, SETTINGS, largest_body=1000, connections=4)

    async def ask():
        running = asyncio.create_task(server.serve())
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/", timeout=60)
        server.should_exit = True
        await running
        return answer.text

    assert server.port and asyncio.run(ask()) == "hello"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_it_serves_is_not_lost(handlers, number):
    server = Server(hello, SETTINGS, largest_body=1000, connections=4)
    stop_on_signals(server)
    os.kill(os.getpid(), number)
    asyncio.run(asyncio.wait_for(server.serve(), 60))
