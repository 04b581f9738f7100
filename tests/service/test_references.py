"""`POST /v1/references` of a real server, on an index of the samples that real networks made."""

import asyncio
import shutil

import httpx
import pytest
from fakes import until
from serving import network_file, running

from twoface.core.errors import InputError, Unavailable
from twoface.search.index import build
from twoface.service import references


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWOFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def index(cache, samples, tmp_path_factory):
    photos = tmp_path_factory.mktemp("photos")
    for name in ("photo.jpg", "reference.jpg"):
        shutil.copy(samples / name, photos)
    assert build([photos], photos.parent / "index", workers=1, progress=False).faces == 2
    return photos.parent / "index"


@pytest.fixture(scope="module")
def client(index, tmp_path_factory):
    with (
        running(network_file(tmp_path_factory.mktemp("served")), index=str(index), photo_bytes=2_000_000) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def post(client, photo, **fields):
    return client.post("/v1/references", files={"photo": photo}, data=fields)


def test_the_other_photo_of_the_person_is_found(client, samples):
    answer = post(client, (samples / "photo.jpg").read_bytes(), hole="eyes").json()
    assert [c["path"].rsplit("/", 1)[-1] for c in answer["candidates"]] == ["reference.jpg"]
    assert answer["left_out"] == {"copies": 1, "unreadable": 0} and answer["faces"] == 2
    best = answer["candidates"][0]
    assert best["verdict"] == answer["verdict"] == "same" and best["probability"] > 0.9
    assert 0 < best["quality"] <= 1 and len(best["frame"]) == 5


def test_what_cannot_be_used_is_told(client, samples):
    photo = (samples / "photo.jpg").read_bytes()
    assert post(client, b"no picture").status_code == 415
    assert post(client, photo, hole="ear").json()["error"].startswith("unknown hole")
    assert post(client, photo, k=0).status_code == 422
    assert client.post("/v1/references", content=photo).status_code == 415
    assert client.post("/v1/references", files={"photo": photo * 200}).status_code == 413


def test_it_stands_in_the_schema_only_with_an_index(client, tmp_path):
    assert "/v1/references" in client.get("/openapi.json").json()["paths"]
    with running(network_file(tmp_path)) as server:
        assert httpx.post(f"{server.url}/v1/references").status_code == 404


def test_without_an_index_there_the_server_does_not_start(tmp_path):
    with pytest.raises(InputError, match="no index at"), running(network_file(tmp_path), index=str(tmp_path / "none")):
        pass


def test_an_index_that_is_away_makes_the_server_not_ready(index, client, monkeypatch):
    monkeypatch.setattr(references, "CHECK_INTERVAL", 0.0)
    said = [None, Unavailable("away", code="backend_away"), Unavailable("many calls", code="busy"), None, OSError(116)]
    seen = []

    class FakePool:
        async def call(self, task, timeout):
            seen.append(watch.reachable)
            if len(seen) > len(said):
                raise asyncio.CancelledError
            if said[len(seen) - 1]:
                raise said[len(seen) - 1]

    watch = references.Watch(FakePool())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch.run())
    assert seen == [True, True, False, False, True, False]
    moved = index.rename(index.parent / "elsewhere")
    try:
        until(lambda: client.get("/v2/health/ready").status_code == 503)
        assert client.get("/v2/health/live").status_code == 200
    finally:
        moved.rename(index)
    until(lambda: client.get("/v2/health/ready").status_code == 200)
