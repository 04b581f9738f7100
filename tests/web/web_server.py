"""Web servers for the tests: real ones on free ports, in a thread of this process, their workers on stand-ins."""

import asyncio
import base64
import contextlib
import threading
from functools import partial

import cv2
import httpx
import numpy as np
from fakes import textured, write_network
from studios import fake_studio

from twoface.core.errors import TwoFaceError
from twoface.core.images import Photo, encode_photo
from twoface.web.server import Server
from twoface.web.settings import Settings

MARK = {"X-Two-Face": "1"}
FRAME = {"x": 160.0, "y": 140.0, "side": 200.0, "angle": 5.0}


@contextlib.contextmanager
def running(folder, setup=fake_studio, **settings):
    """A Server that answers while the context lasts -> a client with a session of its own."""
    network = write_network(folder / "network.onnx", weight=0.5)
    settings = Settings(**{"port": 0, **settings})
    server = Server(settings, partial(setup, network, settings.pixels))
    up, failure = threading.Event(), []

    def run():
        try:
            asyncio.run(server.serve(lambda url: up.set()))
        except TwoFaceError as error:
            failure.append(error)
            up.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(120)
    if failure:
        raise failure[0]
    try:
        with browser(server.url) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextlib.contextmanager
def browser(url, **options):
    """A client that asks as our page does, with a session of its own."""
    with httpx.Client(base_url=url, headers=MARK, timeout=120, verify=False, **options) as client:
        client.get("/")
        yield client


def photo_bytes(width=400, height=320, seed=0, format="PNG", **fields):
    return encode_photo(Photo(textured(height, width, seed), **fields), format, generated=False)


def upload(client, data=None, name="me.png"):
    """-> the JSON of the photo."""
    return good(client.post("api/photos", params={"name": name}, content=photo_bytes() if data is None else data))


def mask_text(mask=None, size=64):
    """A mask as the page sends it: by default a square in the middle."""
    if mask is None:
        mask = np.zeros((size, size), np.uint8)
        mask[size // 4 : -size // 4, size // 4 : -size // 4] = 255
    return base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()


def fill_request(photo, references=(), **changes):
    """The stand-in sees likeness in pixels, so a reference may be the photo itself."""
    references = [{"photo": other["id"], "frame": FRAME} for other in references]
    return {
        "photo": photo["id"],
        "frame": FRAME,
        "mask": mask_text(),
        "references": references,
        "same_photo": True,
        **changes,
    }


def fill(client, photo, references=(), **changes):
    return good(client.post("api/fill", json=fill_request(photo, references, **changes)))


def good(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer, status, code):
    """Check that it is that error -> the error."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code and error["message"]
    return error
