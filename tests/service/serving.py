"""Servers for the tests: real ones on free ports, in a thread of this process, on the constant network of `fakes`."""

import asyncio
import contextlib
import threading

import numpy as np
from fakes import FakeMesher, write_network

from twoface.core.errors import TwoFaceError
from twoface.core.network import OUTPUT_SHAPES
from twoface.service import engine as module
from twoface.service.server import Server
from twoface.service.settings import Settings
from twoface.service.tensors import CENTER


class UnaskingMesher(FakeMesher):
    """Asks the network for no first fill, so that a test which holds the network says when it is asked."""

    def behind(self, aligned, unknown, network):
        return np.zeros_like(aligned, np.uint8), self.aligned(aligned)


module.Mesher = lambda *_: UnaskingMesher()  # all servers of this process see a face wherever they look


@contextlib.contextmanager
def running(model, **settings):
    """A Server that answers while the context lasts; `url` and `grpc` say where."""
    made, thread = {}, None

    async def life():
        quick = {"port": 0, "grpc_port": 0, "threads": 1, "watch": 0.1, "photo_workers": 0}
        server = made["server"] = Server(Settings(model=model, **{**quick, **settings}))
        server.loop = asyncio.get_running_loop()
        await server.serve()

    def run():
        try:
            asyncio.run(life())
        except TwoFaceError as error:
            made["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not ("server" in made and made["server"].grpc_port):
        thread.join(0.01)
        if not thread.is_alive():
            raise made["error"]
    server = made["server"]
    scheme = "https" if settings.get("tls_cert") else "http"
    server.url, server.grpc = f"{scheme}://127.0.0.1:{server.port}", f"127.0.0.1:{server.grpc_port}"
    server.thread = thread
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def on_loop(server, function, *arguments):
    """Call a function in the server's own thread -> its result."""

    async def call():
        return function(*arguments)

    return asyncio.run_coroutine_threadsafe(call(), server.loop).result(60)


def network_file(folder, name="n.onnx", **fields):
    """A network whose fill is the reference, or what `write_network` is told."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_network(folder / name, **fields)


def pictures(rows=1, seed=0):
    """float32 (rows, 3, 128, 128) images with black centres, and references."""
    rng = np.random.default_rng(seed)
    image, reference = rng.random((2, rows, 3, 128, 128), dtype=np.float32)
    image[:, :, CENTER, CENTER] = 0
    return image, reference


def expected(image, reference):
    """What a network whose fill is the reference makes of them."""
    answer = image.copy()
    answer[:, :, CENTER, CENTER] = reference[:, :, CENTER, CENTER]
    return answer


class Gate:
    """A network that answers when it is let: its fill is the reference."""

    metadata = {}

    def __init__(self, *_):
        self.opened, self.began, self.rows = threading.Event(), threading.Event(), []

    def run(self, image, mask, reference, trust):
        self.began.set()
        assert self.opened.wait(60)
        self.rows.append(len(image))
        outputs = {name: np.zeros((len(image), *shape), np.float32) for name, shape in OUTPUT_SHAPES.items()}
        return {**outputs, "fill": reference}
