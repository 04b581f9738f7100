"""\"Your photos stay on this machine\": nothing of the server speaks to another, in its own process or in a worker."""

import base64
import os
import shutil
import signal
import socket
import sys
from functools import partial

import pytest
from studios import fake_studio
from web_server import good, mask_text, running, upload

from twoface.search.index import build
from twoface.serving.settings import is_loopback
from twoface.web.tasks import load_inpainter, setup_worker


def watch(foreign):
    """Have `foreign` called with (event, address) before this process looks up or connects to another machine."""

    def hook(event, arguments):
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            address = arguments[:1]
        else:
            return
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            foreign(event, address)

    sys.addaudithook(hook)


def watched_studio(indexes, network, pixels):
    """A setup of workers with the engine that ships; one that speaks to another machine dies on the spot."""
    watch(lambda event, address: os.kill(os.getpid(), signal.SIGKILL))
    return setup_worker(load_inpainter, pixels, indexes)


def careless_studio(network, pixels):
    """One whose workers would like to."""
    watch(lambda event, address: os.kill(os.getpid(), signal.SIGKILL))
    work = fake_studio(network, pixels)

    def do(task):
        socket.getaddrinfo("example.org", 443)
        return work(task)

    return do


@pytest.fixture(scope="module")
def contacts():
    found = []
    watch(lambda event, address: found.append((event, address)))  # a hook stays for the life of the process
    return found


@pytest.fixture
def index(tmp_path, samples, monkeypatch):
    """An index of the samples, by the networks that ship."""
    monkeypatch.setenv("TWOFACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "reference.jpg"):
        shutil.copy(samples / name, tmp_path / "photos")
    assert build([tmp_path / "photos"], tmp_path / "index", workers=1, progress=False).faces == 2
    return str(tmp_path / "index")


def test_a_whole_walk_contacts_no_other_machine(tmp_path, samples, index, contacts):
    contacts.clear()
    with running(tmp_path, partial(watched_studio, (index,)), indexes=(index,)) as client:
        photo, reference = (upload(client, (samples / name).read_bytes()) for name in ("photo.jpg", "reference.jpg"))
        frames = [each["faces"][0]["frame"] for each in (photo, reference)]
        good(client.get("api/status"))
        holes = f"api/photos/{photo['id']}/holes/eyes"
        assert client.get(f"api/photos/{photo['id']}/preview").status_code == 200
        for references in ([], [{"photo": reference["id"], "frame": frames[1]}]):
            asked = {"photo": photo["id"], "frame": frames[0], "mask": mask_text(), "references": references}
            made = good(client.post("api/fill", json=asked))
        for what in ("patch", "crop/reference", "photo?format=jpeg"):
            assert client.get(f"api/fills/{made['id']}/{what}").status_code == 200
        assert made["identity"]["similarity_visible_reference"] > 0.9
        eyes = base64.b64encode(client.get(holes, params=frames[0]).content).decode()
        asked = {"photo": photo["id"], "frame": frames[0], "mask": eyes, "index": 0}
        found = good(client.post("api/search", json=asked))
        assert [candidate["name"] for candidate in found["candidates"]] == ["reference.jpg"]
        assert found["verdict"] == "same" and found["left_out"]["copies"] == 1
        assert client.get(f"api/searches/{found['id']}/0/crop").status_code == 200
        assert good(client.post(f"api/searches/{found['id']}/0"))["frame"] == found["candidates"][0]["frame"]
    assert contacts == []


def test_the_watch_would_see_one(tmp_path, contacts):
    contacts.clear()
    with pytest.raises(OSError), socket.socket() as wire:
        wire.settimeout(0.01)
        wire.connect(("192.0.2.1", 9))  # an address for documentation, which no machine has
    assert contacts == [("socket.connect", ("192.0.2.1", 9))]
    with running(tmp_path, careless_studio) as client:
        answer = client.post("api/photos", content=b"")
        assert answer.json()["error"]["code"] == "worker_died"
